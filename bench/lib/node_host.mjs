// Runs measurements in Node: a fresh process each, of any Node version, with any engine flags.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { benchDir, peers } from "../peers/index.mjs";

/** A path, or the major version of one of the pinned packages; the pinned 24 where nothing is said. */
export function findNode(which) {
  const pinned = (major) => join(benchDir, "node_modules", `node-${major}`, "bin/node");
  if (!which) return existsSync(pinned(24)) ? pinned(24) : process.execPath;
  if (!/^\d+$/.test(which)) return which;
  if (!existsSync(pinned(which))) throw new Error(`no Node ${which}: cd bench && npm ci --ignore-scripts`);
  return pinned(which);
}

export function nodeHost({ node, wrap, timeout }) {
  const binary = findNode(node);
  const print = "process.versions.node + ' (V8 ' + process.versions.v8 + ')'";
  const engine = `Node ${execFileSync(binary, ["-p", print], { encoding: "utf8" }).trim()}`;

  /** Runs a script of lib/ with one JSON argument; resolves to the JSON it writes to descriptor 3. */
  function child(script, argument, flags = []) {
    const [command, ...args] = [
      ...wrap,
      binary,
      ...flags,
      join(benchDir, "lib", script),
      JSON.stringify(argument),
    ];
    return new Promise((resolve) => {
      const stdio = ["ignore", "ignore", "pipe", "pipe"];
      const p = spawn(command, args, { stdio, cwd: benchDir, detached: true });
      const timer = setTimeout(() => process.kill(-p.pid, "SIGKILL"), timeout * 1000); // and what wraps it
      let [out, errors] = ["", ""];
      p.stdio[3].on("data", (d) => (out += d));
      p.stderr.on("data", (d) => (errors += d));
      p.on("error", (e) => (errors += e.message));
      p.on("close", (code, signal) => {
        clearTimeout(timer);
        if (out) return resolve(JSON.parse(out));
        const last = errors.trim().split("\n").at(-1);
        resolve({ error: signal === "SIGKILL" ? `nothing after ${timeout} s` : `exit ${code}: ${last}` });
      });
    });
  }

  return {
    name: "node",
    engine,
    child,
    run({ peer, flags, ...config }) {
      const { adapter, nodeAdapter, assets } = peers[peer];
      const where = assets && !nodeAdapter ? join(benchDir, "node_modules", assets) : undefined;
      return child(
        "node_child.mjs",
        { ...config, adapter: join(benchDir, "peers", nodeAdapter ?? adapter), assets: where },
        flags,
      );
    },
    async close() {},
  };
}
