// The tables: where each runs, what it runs, and which figure it is about (view). Hosts: Node, a cross-origin
// isolated page, a page that is not.
import { names as five, smallNames } from "../networks/index.mjs";
import { everyPeer } from "../peers/index.mjs";

/** Minnow from two files: one that brings its plan, one that does not. */
const withPlan = [...everyPeer, "minnow-ready"];

export const tables = {
  node: {
    title: "Node",
    hosts: ["node"],
    threads: [1, 2],
    flags: ["none", "--experimental-wasm-revectorize"],
  },
  chromium: { title: "Chromium, cross-origin isolated", hosts: ["isolated"], threads: [1, 2] },
  "chromium-plain": { title: "Chromium, not isolated", hosts: ["plain"] },
  cold: {
    title: "Cold start: model bytes in memory → first answer",
    hosts: ["node", "isolated"],
    models: ["mobilenet_v2"],
    only: withPlan,
    view: "cold",
  },
  memory: {
    title: "Memory above an empty process or page",
    hosts: ["node", "isolated"],
    only: withPlan,
    view: "memory",
    byName: true,
    plain: true,
  },
  download: {
    title: "Download: what a page fetches before MobileNet v2 answers",
    hosts: ["isolated"],
    models: ["mobilenet_v2"],
    only: withPlan,
    view: "download",
    rounds: 0, // the comparison of answers fetches everything
  },
  int8: {
    title: "int8 networks, and Minnow's own float32",
    hosts: ["isolated", "node"],
    models: five.map((m) => `${m}:int8`),
    only: [...everyPeer, "minnow-f32"],
  },
  small: {
    title: "Small networks",
    hosts: ["isolated", "node"],
    models: smallNames,
    only: [...everyPeer, "minnow-into"],
  },
};

export const defaults = {
  threads: [1],
  flags: ["none"],
  models: five,
  view: "steady",
  rounds: 3,
  byName: false,
  plain: false,
};
