// What onnxruntime-web and onnxruntime-node share: the session's interface.
export async function session(ort, model, options) {
  const s = await ort.InferenceSession.create(model, options);
  const inputs = s.inputMetadata.map((m) => ({
    name: m.name,
    dtype: m.type,
    shape: m.shape.map((d) => (d > 0 ? d : 1)),
  }));
  return {
    inputs,
    async run(x) {
      const feeds = {};
      for (const [i, { name, dtype, shape }] of inputs.entries())
        feeds[name] = new ort.Tensor(dtype, x[i], shape);
      const out = await s.run(feeds);
      return s.outputNames.map((n) => out[n].data);
    },
  };
}
