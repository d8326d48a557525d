// A static server on 127.0.0.1 for browser tests: any folders, chosen headers, and a module mode that
// resolves bare specifiers of served modules to files (what a CDN does), so that raw ESM runs under a
// strict Content-Security-Policy without an import map.
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".png": "image/png",
  ".map": "application/json",
};
const require = createRequire(import.meta.url);

export const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
export const strictCsp = {
  "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'",
};

/**
 * @param {Record<string, string>} mounts URL prefix → folder
 * @param {{ headers?: Record<string, string>, pages?: Record<string, string>, resolveModules?: boolean }} options
 */
export async function serve(mounts, { headers = {}, pages = {}, resolveModules = false } = {}) {
  const server = createServer((req, res) => {
    const path = decodeURIComponent(new URL(req.url ?? "/", "http://x").pathname);
    const send = (status, type, body) => {
      res.writeHead(status, {
        "Content-Type": type,
        "Cross-Origin-Resource-Policy": "same-origin",
        ...headers,
      });
      res.end(body);
    };
    if (path in pages) return send(200, types[extname(path)] ?? types[".html"], pages[path]);
    const prefix = Object.keys(mounts)
      .sort((a, b) => b.length - a.length)
      .find((p) => path.startsWith(p));
    const file = prefix && join(mounts[prefix], normalize(path.slice(prefix.length)));
    if (
      !file ||
      relative(mounts[prefix], file).startsWith("..") ||
      !existsSync(file) ||
      !statSync(file).isFile()
    )
      return send(404, "text/html", "<!doctype html><title>404</title>not here");
    const type = types[extname(file)] ?? "application/octet-stream";
    if (resolveModules && /\.m?js$/.test(file))
      return send(200, type, rewrite(readFileSync(file, "utf8"), file));
    res.writeHead(200, {
      "Content-Type": type,
      "Content-Length": statSync(file).size,
      "Cross-Origin-Resource-Policy": "same-origin",
      ...headers,
    });
    createReadStream(file).pipe(res);
  });
  await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
  const { port } = server.address();
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((ok) => {
        server.closeAllConnections();
        server.close(ok);
      }),
  };

  function rewrite(code, file) {
    return code.replace(
      /(\bfrom\s*|\bimport\s*|\bimport\()(["'])([^"'./][^"']*)\2/g,
      (all, lead, quote, name) => {
        if (name.startsWith("node:")) return all;
        const path = resolveBare(name, file);
        const prefix = Object.keys(mounts).find((p) => path && !relative(mounts[p], path).startsWith(".."));
        return prefix ? `${lead}${quote}${prefix}${relative(mounts[prefix], path)}${quote}` : all;
      },
    );
  }
}

function resolveBare(name, from) {
  const module = moduleField(name);
  if (module) return module;
  try {
    return fileURLToPath(import.meta.resolve(name, `file://${resolve(from)}`));
  } catch {
    try {
      return require.resolve(name, { paths: [from] });
    } catch {
      return "";
    }
  }
}

/** The ES module of packages that name it the old way, as CDNs and bundlers do. */
function moduleField(name) {
  const dir = join("node_modules", name);
  const manifest = join(dir, "package.json");
  if (!existsSync(manifest)) return "";
  const { exports, module } = JSON.parse(readFileSync(manifest, "utf8"));
  return module && !exports ? resolve(dir, module) : "";
}
