import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleBuilder } from "./assembler.js";
import { addFours, addFusing, type Fusing, sumsFours } from "./fusing.js";
import { moduleImports } from "./imports.js";
import { emulating } from "./kernels/dots_emulated.test.helper.js";
import { probeEngine } from "./probe.js";

const imports = moduleImports(new WebAssembly.Memory({ initial: 0 }));

function asked(add: (m: ModuleBuilder) => void): Fusing {
  const m = new ModuleBuilder();
  add(m);
  return new WebAssembly.Instance(new WebAssembly.Module(m.build()), imports).exports as unknown as Fusing;
}

test("code tells whether engines sum four 8-bit products in 32 bits", () => {
  for (const dot of ["sdot", "usdot"] as const)
    assert.ok(sumsFours(asked((m) => emulating(dot, () => addFours(m)))));
  const { dot = "i16", fma } = probeEngine();
  if (fma) assert.equal(sumsFours(asked(addFours)), /^u?sdot$/.test(dot));
  if (fma) assert.equal(sumsFours(asked(addFusing)), false, "where it does not matter");
});
