// onnxruntime-node: native, its CPU provider.
import { session } from "./ort_session.mjs";

export async function load({ name, files, threads }) {
  const { default: ort } = await import("onnxruntime-node");
  return session(ort, name ?? files.pop(), {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    // Without it int8 products saturate on processors that have no VNNI, and answers are wrong.
    extra: { session: { x64quantprecision: "1" } },
  });
}
