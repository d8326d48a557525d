// The layers of some networks as the kernel harness takes them, for kernels.mjs and int8.mjs.
const same = (h, k, s) => {
  const total = Math.max(0, (Math.ceil(h / s) - 1) * s + k - h);
  return [total >> 1, total - (total >> 1)];
};
const conv = (name, h, c, o, k, s, more = {}) => {
  const [before, after] = same(h, k, s);
  return [
    name,
    {
      h,
      w: h,
      c,
      o,
      kernel: [k, k],
      stride: [s, s],
      pads: [before, before, after, after],
      relu6: true,
      ...more,
    },
  ];
};
const dw = (h, c, s) => conv(`dw s${s} ${c}@${h}`, h, c, c, 3, s, { group: c });

function mobilenetV1() {
  const layers = [conv("first 3>32", 224, 3, 32, 3, 2)];
  let h = 112;
  for (const [c, o, s] of [
    [32, 64, 1],
    [64, 128, 2],
    [128, 128, 1],
    [128, 256, 2],
    [256, 256, 1],
    [256, 512, 2],
    ...Array(5).fill([512, 512, 1]),
    [512, 1024, 2],
    [1024, 1024, 1],
  ]) {
    layers.push(dw(h, c, s));
    h /= s;
    layers.push(conv(`1x1 ${c}>${o}@${h}`, h, c, o, 1, 1));
  }
  return [...layers, ["dense 1024>1001", { h: 1, w: 1, c: 1024, o: 1001 }]];
}
function mobilenetV2() {
  const layers = [conv("first 3>32", 224, 3, 32, 3, 2)];
  let [h, c] = [112, 32];
  for (const [t, o, n, s1] of [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ])
    for (let i = 0; i < n; i++) {
      const s = i ? 1 : s1;
      if (t > 1) layers.push(conv(`1x1 ${c}>${c * t}@${h}`, h, c, c * t, 1, 1));
      layers.push(dw(h, c * t, s));
      h /= s;
      const residual = i ? "other" : "none";
      layers.push(
        conv(`1x1 ${c * t}>${o}@${h}${i ? " +res" : ""}`, h, c * t, o, 1, 1, { relu6: false, residual }),
      );
      c = o;
    }
  layers.push(conv("1x1 320>1280@7", 7, 320, 1280, 1, 1));
  return [...layers, ["dense 1280>1001", { h: 1, w: 1, c: 1280, o: 1001 }]];
}
function squeezenet() {
  const layers = [
    ["first 3>96", { h: 224, w: 224, c: 3, o: 96, kernel: [7, 7], stride: [2, 2], relu6: true }],
  ];
  const fire = (h, c, s, e) => {
    layers.push(conv(`1x1 ${c}>${s}@${h}`, h, c, s, 1, 1));
    layers.push(conv(`1x1 ${s}>${e}@${h}`, h, s, e, 1, 1, { outPitch: 2 * e }));
    layers.push(conv(`3x3 ${s}>${e}@${h}`, h, s, e, 3, 1, { outPitch: 2 * e }));
  };
  fire(54, 96, 16, 64);
  fire(54, 128, 16, 64);
  fire(54, 128, 32, 128);
  fire(27, 256, 32, 128);
  fire(27, 256, 48, 192);
  fire(27, 384, 48, 192);
  fire(27, 384, 64, 256);
  fire(13, 512, 64, 256);
  return [...layers, conv("1x1 512>1000@13", 13, 512, 1000, 1, 1)];
}
/** Options of harness.ts's convCase, layer by layer. */
export const nets = { mobilenet_v1: mobilenetV1, mobilenet_v2: mobilenetV2, squeezenet };
