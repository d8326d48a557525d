// The five networks of the headline table: SqueezeNet 1.0, MobileNet v1 and v2 (1.0, 224), ResNet v2 50,
// Inception v3. Gains are chosen so that values stay within a few units, relu6 clips now and then, and
// logits spread over a handful of units: a softmax that neither saturates nor is flat.
import { Network } from "./network.mjs";

const image = (size) => [1, size, size, 3];

function squeezenet() {
  const n = new Network("squeezenet", image(224), 1, 0.3);
  const fire = (x, squeeze, expand) => {
    const s = n.conv(x, squeeze, 1);
    return n.concat([n.conv(s, expand, 1), n.conv(s, expand, 3)]);
  };
  const fires = (x, ...sizes) => sizes.reduce((y, [s, e]) => fire(y, s, e), x);
  let x = n.maxPool(n.conv(n.input, 96, 7, { stride: 2, pad: "valid", gain: 2 }), 3, 2);
  x = n.maxPool(fires(x, [16, 64], [16, 64], [32, 128]), 3, 2);
  x = n.maxPool(fires(x, [32, 128], [48, 192], [48, 192], [64, 256]), 3, 2);
  x = n.conv(fire(x, 64, 256), 1000, 1, { gain: 3, uneven: true });
  return n.finish(n.softmax(n.mean(x)));
}

function mobilenetV1() {
  const n = new Network("mobilenet_v1", image(224), 2, 0.3);
  const relu6 = { act: "relu6" };
  let x = n.conv(n.input, 32, 3, { stride: 2, gain: 3, ...relu6 });
  for (const [stride, c] of [
    [1, 64],
    [2, 128],
    [1, 128],
    [2, 256],
    [1, 256],
    [2, 512],
    ...Array(5).fill([1, 512]),
    [2, 1024],
    [1, 1024],
  ])
    x = n.conv(n.depthwise(x, 3, { stride, ...relu6 }), c, 1, relu6);
  return n.classify(x, 1001, { gain: 2, seed: 19 });
}

function mobilenetV2() {
  const n = new Network("mobilenet_v2", image(224), 3, 0.3);
  const relu6 = { act: "relu6" };
  let x = n.conv(n.input, 32, 3, { stride: 2, gain: 3, ...relu6 });
  for (const [expand, c, repeat, first] of [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ])
    for (let i = 0; i < repeat; i++) {
      const stride = i ? 1 : first;
      const wide = expand === 1 ? x : n.conv(x, x.shape[3] * expand, 1, relu6);
      const joined = i > 0;
      const y = n.conv(n.depthwise(wide, 3, { stride, ...relu6 }), c, 1, {
        act: null,
        gain: joined ? 0.5 : 1,
      });
      x = joined ? n.add(y, x) : y;
    }
  return n.classify(n.conv(x, 1280, 1, relu6), 1001, { gain: 1.5, seed: 6 });
}

function resnetV2() {
  const n = new Network("resnet_v2_50", image(224), 4);
  let x = n.maxPool(n.conv(n.input, 64, 7, { stride: 2, act: null, gain: 2 }), 3, 2, "same");
  for (const [c, repeat, last] of [
    [64, 3, 2],
    [128, 4, 2],
    [256, 6, 2],
    [512, 3, 1],
  ])
    for (let i = 0; i < repeat; i++) {
      const stride = i === repeat - 1 ? last : 1;
      const p = n.norm(x);
      const shortcut =
        i === 0
          ? n.conv(p, c * 4, 1, { stride, act: null })
          : stride > 1
            ? n.maxPool(x, 1, stride, "same")
            : x;
      const y = n.conv(n.conv(p, c, 1), c, 3, { stride });
      x = n.add(n.conv(y, c * 4, 1, { act: null }), shortcut);
    }
  return n.classify(n.norm(x), 1001, { gain: 5, seed: 2 });
}

function inceptionV3() {
  const n = new Network("inception_v3", image(299), 5, 0.1);
  const valid = { pad: "valid" };
  const half = { stride: 2, ...valid };
  const conv = (x, ...layers) => layers.reduce((y, [c, k, o]) => n.conv(y, c, k, o), x);
  const average = (x) => n.averagePool(x, 3, 1, "same");
  let x = conv(n.input, [32, 3, { gain: 2, ...half }], [32, 3, valid], [64, 3]);
  x = conv(n.maxPool(x, 3, 2), [80, 1, valid], [192, 3, valid]);
  x = n.maxPool(x, 3, 2);
  for (const p of [32, 64, 64])
    x = n.concat([
      conv(x, [64, 1]),
      conv(x, [48, 1], [64, 5]),
      conv(x, [64, 1], [96, 3], [96, 3]),
      conv(average(x), [p, 1]),
    ]);
  x = n.concat([conv(x, [384, 3, half]), conv(x, [64, 1], [96, 3], [96, 3, half]), n.maxPool(x, 3, 2)]);
  for (const c of [128, 160, 160, 192])
    x = n.concat([
      conv(x, [192, 1]),
      conv(x, [c, 1], [c, [1, 7]], [192, [7, 1]]),
      conv(x, [c, 1], [c, [7, 1]], [c, [1, 7]], [c, [7, 1]], [192, [1, 7]]),
      conv(average(x), [192, 1]),
    ]);
  x = n.concat([
    conv(x, [192, 1], [320, 3, half]),
    conv(x, [192, 1], [192, [1, 7]], [192, [7, 1]], [192, 3, half]),
    n.maxPool(x, 3, 2),
  ]);
  for (let i = 0; i < 2; i++) {
    const [a, b] = [conv(x, [384, 1]), conv(x, [448, 1], [384, 3])];
    const both = (y) => n.concat([conv(y, [384, [1, 3]]), conv(y, [384, [3, 1]])]);
    x = n.concat([conv(x, [320, 1]), both(a), both(b), conv(average(x), [192, 1])]);
  }
  return n.classify(x, 1001, { gain: 7, seed: 14 });
}

export const five = {
  squeezenet,
  mobilenet_v1: mobilenetV1,
  mobilenet_v2: mobilenetV2,
  resnet_v2_50: resnetV2,
  inception_v3: inceptionV3,
};
