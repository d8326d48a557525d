// Batch normalisation, affine chains, biases, pads and dilations.
import { test } from "node:test";
import { affine, biases } from "./affine.js";
import { batchNorm } from "./batch_norm.js";
import { checkPass, checkUnchanged } from "./check.test.helper.js";
import { dilations } from "./dilations.js";
import { pads } from "./pads.js";

test("batch normalisation is a multiplication and an addition", () => {
  checkPass(
    batchNorm,
    `graph g(%x: float32[1, 2, 3, 3]) -> (%y) {
      const %s: float32[2] = [2, 3]
      const %b: float32[2] = [1, -1]
      const %m: float32[2] = [0.5, 4]
      const %v: float32[2] = [3, 8]
      %y = BatchNorm(%x, %s, %b, %m, %v) {axis: 1, epsilon: 1}
    }`,
    `graph g(%x: float32[1, 2, 3, 3]) -> (%y) {
      const %s: float32[1, 2, 1, 1] = [1, 1]
      const %b: float32[1, 2, 1, 1] = [0.5, -5]
      %a = Mul(%x, %s)
      %y = Add(%a, %b)
    }`,
  );
});

const conv = (
  weights: string,
  attrs: string,
  rest: string,
  more = "",
): string => `graph g(%x: float32[1, 4, 4, 2]) -> (%y) {
  const %w: float32[2, 1, 1, 2] = ${weights}
  ${more}
  ${rest.replace("CONV", attrs)}
}`;

test("a chain of arithmetic folds into the layer before it", () => {
  checkPass(
    affine,
    conv(
      "[1, 2, 3, 4]",
      "Conv2D(%x, %w)",
      `%a = CONV
      %b = Mul(%a, %s)
      %c = Add(%t, %b)
      %d = Div(%c, %h)
      %y = Sub(%k, %d)`,
      `const %s: float32[2] = [2, 3]
      const %t: float32[1, 1, 1, 2] = [5, 6]
      const %h: float32[] = [0.5]
      const %k: float32[1] = [1]`,
    ),
    `graph g(%x: float32[1, 4, 4, 2]) -> (%y) {
      const %w: float32[2, 1, 1, 2] = [-4, -8, -18, -24]
      const %b: float32[2] = [-9, -11]
      %y = Conv2D(%x, %w, %b)
    }`,
  );
});

test("groups: each output channel has its own factor", () => {
  checkPass(
    affine,
    `graph g(%x: float32[1, 2, 2, 4]) -> (%y) {
      const %w: float32[4, 1, 1, 2] = [1, 2, 3, 4, 5, 6, 7, 8]
      const %b: float32[4] = [1, 1, 1, 1]
      const %s: float32[4] = [1, 10, 100, 1000]
      %a = Conv2D(%x, %w, %b) {group: 2}
      %y = Mul(%a, %s)
    }`,
    `graph g(%x: float32[1, 2, 2, 4]) -> (%y) {
      const %w: float32[4, 1, 1, 2] = [1, 2, 30, 40, 500, 600, 7000, 8000]
      const %b: float32[4] = [1, 10, 100, 1000]
      %y = Conv2D(%x, %w, %b) {group: 2}
    }`,
  );
});

test("transposed convolution and dense", () => {
  checkPass(
    affine,
    `graph g(%x: float32[1, 2, 2, 4]) -> (%y) {
      const %w: float32[4, 1, 1, 2] = [1, 2, 3, 4, 5, 6, 7, 8]
      const %s: float32[4] = [1, 10, 100, 1000]
      %a = ConvTranspose2D(%x, %w) {group: 2}
      %y = Mul(%a, %s)
    }`,
    `graph g(%x: float32[1, 2, 2, 4]) -> (%y) {
      const %w: float32[4, 1, 1, 2] = [1, 20, 3, 40, 500, 6000, 700, 8000]
      %y = ConvTranspose2D(%x, %w) {group: 2}
    }`,
  );
  checkPass(
    affine,
    `graph g(%x: float32[3, 2]) -> (%y) {
      const %w: float32[2, 2] = [1, 2, 3, 4]
      const %s: float32[2] = [2, 3]
      %a = Dense(%x, %w)
      %y = Mul(%a, %s)
    }`,
    `graph g(%x: float32[3, 2]) -> (%y) {
      const %w: float32[2, 2] = [2, 4, 9, 12]
      %y = Dense(%x, %w)
    }`,
  );
});

test("arithmetic in front folds when nothing is padded, or nothing is added", () => {
  const before = (pads: string, add: string): string =>
    conv(
      "[1, 2, 3, 4]",
      `Conv2D(%b, %w) {pads: [${pads}]}`,
      `%a = Mul(%x, %s)\n %b = ${add}\n %y = CONV`,
      "const %s: float32[2] = [2, 3]\n const %t: float32[2] = [5, 6]",
    );
  checkPass(
    affine,
    before("0, 0, 0, 0", "Add(%a, %t)"),
    `graph g(%x: float32[1, 4, 4, 2]) -> (%y) {
      const %w: float32[2, 1, 1, 2] = [2, 6, 6, 12]
      const %b: float32[2] = [17, 39]
      %y = Conv2D(%x, %w, %b) {pads: [0, 0, 0, 0]}
    }`,
  );
  checkPass(
    affine,
    before("1, 1, 1, 1", "Mul(%t, %a)"),
    `graph g(%x: float32[1, 4, 4, 2]) -> (%y) {
      const %w: float32[2, 1, 1, 2] = [10, 36, 30, 72]
      %y = Conv2D(%x, %w) {pads: [1, 1, 1, 1]}
    }`,
  );
  // A shift under padding would be seen in the border: only the part that stands nearest and scales goes.
  checkUnchanged(affine, before("1, 1, 1, 1", "Add(%a, %t)"));
});

test("arithmetic in front, depth-wise", () => {
  checkPass(
    affine,
    `graph g(%x: float32[1, 3, 3, 2]) -> (%y) {
      const %w: float32[4, 1, 1, 1] = [1, 2, 3, 4]
      const %s: float32[2] = [10, 100]
      %a = Sub(%x, %s)
      %y = Conv2D(%a, %w) {group: 2}
    }`,
    `graph g(%x: float32[1, 3, 3, 2]) -> (%y) {
      const %w: float32[4, 1, 1, 1] = [1, 2, 3, 4]
      const %b: float32[4] = [-10, -20, -300, -400]
      %y = Conv2D(%x, %w, %b) {group: 2}
    }`,
  );
});

test("what others see, and what varies over space, stays", () => {
  checkUnchanged(
    affine,
    `graph g(%x: float32[1, 2, 2, 2], %v: float32[2]) -> (%a, %d, %f) {
      const %w: float32[2, 1, 1, 2] = [1, 2, 3, 4]
      const %s: float32[4, 1] = [2, 3, 4, 5]
      const %t: float32[2] = [2, 3]
      %a = Conv2D(%x, %w)
      %b = Mul(%a, %t)
      %c = Conv2D(%b, %w) {pads: [1, 1, 1, 1]}
      %d = Mul(%c, %s)
      %e = Conv2D(%x, %w)
      %f = Mul(%e, %v)
    }`.replace("%b = Mul(%a, %t)", "%b = Add(%a, %t)"),
  );
});

test("float16 weights stay float16 where the product is exact", () => {
  const before = (s: number): string => `graph g(%x: float32[3, 2]) -> (%y) {
    const %w: float16[2, 2] = [0.5, 2, 3, 0.0999755859375]
    const %s: float32[] = [${s}]
    %w32 = Cast(%w) {to: "float32"}
    %a = Dense(%x, %w32)
    %y = Mul(%a, %s)
  }`;
  checkPass(
    affine,
    before(4),
    `graph g(%x: float32[3, 2]) -> (%y) {
      const %w: float16[2, 2] = [0.5, 2, 3, 0.0999755859375]
      const %v: float16[2, 2] = [2, 8, 12, 0.39990234375]
      %w32 = Cast(%w) {to: "float32"}
      %v32 = Cast(%v) {to: "float32"}
      %y = Dense(%x, %v32)
    }`,
  );
  checkPass(
    affine,
    before(3),
    `graph g(%x: float32[3, 2]) -> (%y) {
      const %w: float16[2, 2] = [0.5, 2, 3, 0.0999755859375]
      const %v: float32[2, 2] = [1.5, 6, 9, 0.2999267578125]
      %w32 = Cast(%w) {to: "float32"}
      %y = Dense(%x, %v)
    }`,
  );
});

test("an addition after a layer becomes its bias, also before training", () => {
  checkPass(
    biases,
    conv(
      "[1, 2, 3, 4]",
      "Conv2D(%x, %w, %b)",
      "%a = CONV\n %c = Add(%a, %t)\n %y = Mul(%c, %t)",
      "const %b: float32[2] = [1, 2]\n const %t: float32[2] = [5, 6]",
    ),
    `graph g(%x: float32[1, 4, 4, 2]) -> (%y) {
      const %w: float32[2, 1, 1, 2] = [1, 2, 3, 4]
      const %b: float32[2] = [6, 8]
      const %t: float32[2] = [5, 6]
      %c = Conv2D(%x, %w, %b)
      %y = Mul(%c, %t)
    }`,
  );
});

test("convolutions pad by themselves", () => {
  checkPass(
    pads,
    `graph g(%x: float32[1, 6, 6, 1], %q: uint8[1, 4, 4, 1] q(0.5, 7)) -> (%y, %z, %r) {
      const %w: float32[1, 3, 3, 1] = random(1)
      const %v: uint8[1, 3, 3, 1] q(0.1, 5) = random(2)
      const %p: int32[4, 2] = [0, 0, 1, 2, 0, 3, 0, 0]
      %a = Pad(%x, %p)
      %y = Conv2D(%a, %w) {padding: "valid", strides: [2, 2]}
      %b = Pad(%x) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %z = Conv2D(%b, %w) {padding: "same_upper", strides: [2, 2]}
      %c: uint8[1, 6, 6, 1] q(0.5, 7) = Pad(%q) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %r: uint8[1, 4, 4, 1] q(1, 0) = Conv2D(%c, %v) {padding: "valid"}
    }`,
    `graph g(%x: float32[1, 6, 6, 1], %q: uint8[1, 4, 4, 1] q(0.5, 7)) -> (%y, %z, %r) {
      const %p: int32[4, 2] = [0, 0, 1, 2, 0, 3, 0, 0]
      const %w: float32[1, 3, 3, 1] = random(1)
      const %v: uint8[1, 3, 3, 1] q(0.1, 5) = random(2)
      %a = Pad(%x, %p)
      %y = Conv2D(%x, %w) {padding: "explicit", pads: [1, 0, 2, 3], strides: [2, 2]}
      %b = Pad(%x) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %z = Conv2D(%x, %w) {padding: "explicit", pads: [1, 1, 2, 2], strides: [2, 2]}
      %c: uint8[1, 6, 6, 1] q(0.5, 7) = Pad(%q) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %r: uint8[1, 4, 4, 1] q(1, 0) = Conv2D(%q, %v) {padding: "explicit", pads: [1, 1, 1, 1]}
    }`,
  );
});

test("pools pad by themselves where that is exact", () => {
  checkPass(
    pads,
    `graph g(%x: float32[1, 6, 6, 1]) -> (%y, %z) {
      %r = Relu(%x)
      %a = Pad(%r) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %y = MaxPool2D(%a) {kernel: [3, 3], strides: [2, 2], padding: "valid"}
      %b = Pad(%x) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %z = AvgPool2D(%b) {kernel: [3, 3], strides: [2, 2]}
    }`,
    `graph g(%x: float32[1, 6, 6, 1]) -> (%y, %z) {
      %r = Relu(%x)
      %a = Pad(%r) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %y = MaxPool2D(%r) {kernel: [3, 3], strides: [2, 2], padding: "explicit", pads: [1, 1, 1, 1]}
      %b = Pad(%x) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %z = AvgPool2D(%x) {kernel: [3, 3], strides: [2, 2], padding: "explicit", pads: [1, 1, 1, 1], countPads: true}
    }`,
  );
  checkUnchanged(
    pads,
    `graph g(%x: float32[1, 6, 6, 2]) -> (%y, %z, %v) {
      const %w: float32[1, 1, 1, 3] = [1, 2, 3]
      const %u: float32[1, 1, 1, 2] = [1, 2]
      %a = Pad(%x) {pads: [0, 1, 1, 0, 0, 1, 1, 0]}
      %y = MaxPool2D(%a) {kernel: [3, 3]}
      %b = Pad(%x) {pads: [0, 0, 0, 0, 0, 0, 0, 1]}
      %z = Conv2D(%b, %w)
      %c = Pad(%x) {pads: [0, 1, 1, 0, 0, 1, 1, 0], value: 1}
      %v = Conv2D(%c, %u)
    }`,
  );
});

test("space to batch, convolution, batch to space is a dilated convolution", () => {
  checkPass(
    dilations,
    `graph g(%x: float32[1, 7, 6, 1]) -> (%y) {
      const %w: float32[1, 3, 3, 1] = random(1)
      const %b: float32[1] = [2]
      const %blocks: int32[2] = [2, 2]
      const %pads: int32[2, 2] = [2, 3, 2, 2]
      const %crops: int32[2, 2] = [0, 1, 0, 0]
      %s = SpaceToBatch(%x, %blocks, %pads)
      %c = Conv2D(%s, %w) {padding: "valid"}
      %d = Add(%c, %b)
      %e = Relu(%d)
      %y = BatchToSpace(%e, %blocks, %crops)
    }`,
    `graph g(%x: float32[1, 7, 6, 1]) -> (%y) {
      const %w: float32[1, 3, 3, 1] = random(1)
      const %b: float32[1] = [2]
      %c = Conv2D(%x, %w) {padding: "explicit", dilations: [2, 2], pads: [2, 2, 2, 2]}
      %d = Add(%c, %b)
      %y = Relu(%d)
    }`,
  );
});
