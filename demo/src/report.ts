// demo/out/index.html: one self-contained page with what the demo found, and the models to try live.

export interface Section {
  readonly title: string;
  readonly text: string;
  readonly pictures: readonly { readonly src: string; readonly alt: string; readonly tryIt?: boolean }[];
  /** Lines of recognised text. */
  readonly lines?: readonly string[];
}

const escapeHtml = (s: string): string =>
  s.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] as string);

const style = `
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 2rem 1.2rem 4rem; color: #17202a; background: #fff;
  font: 17px/1.55 system-ui, sans-serif; }
h1 { font-size: 2rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.4rem 0 .4rem; }
p { max-width: 46rem; } .figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 1 1 300px; max-width: 520px; }
img, canvas { max-width: 100%; height: auto; border-radius: 6px; background: repeating-conic-gradient(#e5e7eb 0 25%, #fff 0 50%) 0 0 / 20px 20px; }
button, .file { font: inherit; padding: .45rem .9rem; border: 2px solid #0b4f4a; border-radius: 6px; background: #0f766e; color: #fff; cursor: pointer; }
button:focus-visible, input:focus-visible + .file { outline: 3px solid #b45309; outline-offset: 2px; }
input[type=file] { position: absolute; opacity: 0; width: 1px; height: 1px; }
#drop { border: 2px dashed #4b5563; border-radius: 8px; padding: 1rem; }
.controls { display: flex; flex-wrap: wrap; gap: .8rem; align-items: center; margin-bottom: .8rem; }
pre { background: #f3f4f6; padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; }
`;

export function html(sections: readonly Section[], models: string, script: string): string {
  let n = 0;
  const figure = (p: Section["pictures"][number]): string => {
    const id = `try${n++}`;
    const button = p.tryIt
      ? `<figcaption><button type="button" id="${id}">Run it here</button></figcaption>`
      : "";
    return `<figure><img src="${p.src}" alt="${escapeHtml(p.alt)}"${p.tryIt ? ` data-try="${id}"` : ""}>${button}</figure>`;
  };
  const body = sections
    .map(
      (s) => `<section><h2>${escapeHtml(s.title)}</h2><p>${escapeHtml(s.text)}</p>
<div class="figures">${s.pictures.map(figure).join("")}</div>
${s.lines ? `<pre>${s.lines.map(escapeHtml).join("\n")}</pre>` : ""}</section>`,
    )
    .join("\n");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Minnow: what the demo found</title><style>${style}</style></head>
<body><main><h1>Minnow</h1>
<p>Three trained models, converted and run by one small library that writes its own WebAssembly. Everything below was computed by <code>npm start</code>; the last part runs in this page.</p>
${body}
<section><h2>Try it on your own picture</h2>
<p>Faces and person segmentation run here, in this page. The picture stays on this machine.</p>
<div id="drop"><div class="controls"><input type="file" id="file" accept="image/*"><label class="file" for="file">Choose a picture</label>
<button type="button" id="camera">Use the camera</button><span>or drop a picture here</span></div>
<p id="status" role="status" aria-live="polite">Nothing run yet.</p>
<canvas id="canvas" width="640" height="360" role="img" aria-label="The picture with the faces and the person that were found"></canvas></div></section>
</main>
<script type="application/json" id="models">${models}</script>
<script type="module">${script.replaceAll("</script", "<\\/script")}</script>
</body></html>
`;
}
