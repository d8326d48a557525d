// If: the branch that is taken becomes part of the graph where its condition is known when the model is read:
// it asks for ranks and sizes. Where data decide, both are computed and the answer is picked, which is right
// because no operator does anything but give its outputs; the few that fail on data are refused.
import { ModelError } from "../../../error.js";
import type { Tensor } from "../../../graph/graph.js";
import { failsOnData } from "../../branches.js";
import type { Call, Row, Table } from "../call.js";

const either: Row = (c) => {
  const condition = c.raw(0);
  const numbers = (t: Tensor): readonly unknown[] | undefined => {
    const { value } = c.builder.info(t);
    return value?.every((v) => typeof v === "number") ? value : undefined;
  };
  const taken = numbers(condition);
  if (taken) {
    c.ignore("then_branch", "else_branch");
    return c.branch(taken[0] ? "then_branch" : "else_branch");
  }
  const { nodes } = c.builder.graph;
  const start = nodes.length;
  const [a, b] = [fitting(c, "then_branch"), fitting(c, "else_branch")];
  if (a.length !== b.length) c.bad(`its branches give ${a.length} and ${b.length} outputs`);
  const known = (t: Tensor): boolean => t.kind === "constant" || !!numbers(t);
  const why = failsOnData(nodes.slice(start), known);
  if (why) c.unsupported(why, hint);
  const scalar = c.rank(condition) === 0 ? condition : c.reshape(condition, []);
  return a.map((t, i) => pick(c, scalar, t, b[i] as Tensor));
};

const hint = "give sizes and inputs that decide it: load(model, { shapes, dims, values })";

/** A branch that may be made for other sizes: then it is never taken, but nothing here knows that. */
function fitting(c: Call, name: string): Tensor[] {
  try {
    return c.branch(name);
  } catch (e) {
    if (!(e instanceof ModelError) || (e.code !== "bad_shape" && e.code !== "index_out_of_range")) throw e;
    return c.unsupported(`its ${name} does not fit these sizes: ${e.message}`, hint);
  }
}

function pick(c: Call, condition: Tensor, x: Tensor, y: Tensor): Tensor {
  if (x.quant || y.quant) c.unsupported("its branches give quantised numbers");
  const [a, b] = [c.builder.compute(x), c.builder.compute(y)];
  const [one, other] = [`${a.dtype} [${c.shape(a)}]`, `${b.dtype} [${c.shape(b)}]`];
  if (one !== other)
    c.unsupported(
      `its branches give ${one} and ${other}, and its condition is not known before it runs`,
      hint,
    );
  return c.emit("Where", [condition, a, b], {}, { dtype: a.dtype });
}

export const control: Table = { If: either };
