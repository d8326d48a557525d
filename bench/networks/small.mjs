// Small networks, where what a call costs beyond its kernels shows: the four of MLPerf Tiny (image
// classification, keyword spotting, visual wake words, anomaly detection) and a face detector with two
// heads in the manner of BlazeFace's front camera model.
import { Network } from "./network.mjs";

/** ResNet-8 for 32 × 32 pictures of ten classes. */
function resnet8() {
  const n = new Network("resnet8", [1, 32, 32, 3], 11);
  let x = n.conv(n.input, 16, 3, { gain: 2 });
  for (const [c, stride] of [
    [16, 1],
    [32, 2],
    [64, 2],
  ]) {
    const y = n.conv(n.conv(x, c, 3, { stride }), c, 3, { act: null, gain: 0.7 });
    const shortcut = stride === 1 ? x : n.conv(x, c, 1, { stride, act: null });
    x = n.add(y, shortcut, "relu");
  }
  const pooled = n.averagePool(x, 8, 8);
  return n.finish(n.softmax(n.dense(n.reshape(pooled, [1, 64]), 10, { gain: 3 })));
}

/** DS-CNN over 49 frames of 10 cepstral coefficients, twelve words. */
function dsCnn() {
  const n = new Network("ds_cnn", [1, 49, 10, 1], 12);
  let x = n.conv(n.input, 64, [10, 4], { stride: 2, gain: 2 });
  for (let i = 0; i < 4; i++) x = n.conv(n.depthwise(x, 3), 64, 1);
  const [, h, w] = x.shape;
  const pooled = n.averagePool(x, [h, w], [h, w]);
  return n.finish(n.softmax(n.dense(n.reshape(pooled, [1, 64]), 12, { gain: 3 })));
}

/** MobileNet v1 at a quarter of the width, 96 × 96, person or none. */
function wakeWords() {
  const n = new Network("vww", [1, 96, 96, 3], 13, 0.3);
  let x = n.conv(n.input, 8, 3, { stride: 2, gain: 2 });
  for (const [stride, c] of [
    [1, 16],
    [2, 32],
    [1, 32],
    [2, 64],
    [1, 64],
    [2, 128],
    ...Array(5).fill([1, 128]),
    [2, 256],
    [1, 256],
  ])
    x = n.conv(n.depthwise(x, 3, { stride }), c, 1);
  const pooled = n.averagePool(x, 3, 3);
  return n.finish(n.softmax(n.dense(n.reshape(pooled, [1, 256]), 2, { gain: 2 })));
}

/** Dense auto-encoder over five frames of 128 mel bands. */
function autoEncoder() {
  const n = new Network("autoencoder", [1, 640], 14);
  let x = n.input;
  for (const units of [128, 128, 128, 128, 8, 128, 128, 128, 128]) x = n.dense(x, units, { act: "relu" });
  return n.finish(n.dense(x, 640));
}

function faces() {
  const n = new Network("blazeface", [1, 128, 128, 3], 15);
  const block = (x, c, stride = 1) => {
    const y = n.conv(n.depthwise(x, 3, { stride, act: null }), c, 1, { act: null, gain: 0.7 });
    const pooled = stride > 1 ? n.maxPool(x, 2, 2) : x;
    return n.add(y, pooled.shape[3] < c ? n.padChannels(pooled, c) : pooled, "relu");
  };
  const blocks = (x, ...sizes) => sizes.reduce((y, c) => block(y, c), x);
  let x = n.conv(n.input, 24, 5, { stride: 2, gain: 2 });
  x = blocks(x, 24, 28);
  x = blocks(block(x, 32, 2), 36, 42);
  const fine = blocks(block(x, 48, 2), 56, 64, 72, 80, 88);
  const coarse = blocks(block(fine, 96, 2), 96, 96, 96, 96);
  const head = (each) =>
    n.concat(
      [
        [fine, 2],
        [coarse, 6],
      ].map(([y, anchors]) => {
        const [, h, w] = y.shape;
        return n.reshape(n.conv(y, anchors * each, 1, { act: null }), [1, h * w * anchors, each]);
      }),
      1,
    );
  return n.finish(head(16), head(1));
}

export const small = { resnet8, ds_cnn: dsCnn, vww: wakeWords, autoencoder: autoEncoder, blazeface: faces };
