// Seeded inputs that look a little like photographs: noise of every scale from two cells across to 64, each
// half as strong as the one twice as coarse, brightness shared by the channels and some colour of their own.
// Convolutions answer to them as they do to pictures; to white noise or to a sine they do not.
import { Random } from "./random.mjs";

/**
 * @param {number[]} shape of an input: [1, h, w, c], or [1, n], which is taken as one row
 * @returns {Float32Array} NHWC, values in [-1, 1]
 */
export function image(shape, seed) {
  const [h, w, c] = shape.length === 4 ? shape.slice(1) : [1, shape[1], 1];
  const random = new Random(1000 + seed);
  const [light, ...colours] = Array.from({ length: 1 + c }, () => plane(random, h, w));
  const [bright, contrast] = random.uniform(2, -0.3, 0.3);
  const out = new Float32Array(h * w * c);
  for (let i = 0; i < h * w; i++)
    for (let k = 0; k < c; k++) {
      const v = bright + (1 + contrast) * (0.7 * light[i] + 0.4 * colours[k][i]);
      out[i * c + k] = Math.max(-1, Math.min(1, v));
    }
  return out;
}

function plane(random, h, w) {
  const out = new Float32Array(h * w);
  for (let cells = 2, weight = 0.7; cells <= Math.min(64, Math.max(h, w)); cells *= 2, weight /= 2) {
    const grid = random.uniform((cells + 1) ** 2, -weight, weight);
    for (let y = 0; y < h; y++) {
      const [i, fy] = cell(y, h, cells);
      for (let x = 0; x < w; x++) {
        const [j, fx] = cell(x, w, cells);
        const at = i * (cells + 1) + j;
        const top = grid[at] + fx * (grid[at + 1] - grid[at]);
        const below = grid[at + cells + 1] + fx * (grid[at + cells + 2] - grid[at + cells + 1]);
        out[y * w + x] += top + fy * (below - top);
      }
    }
  }
  return out;
}

/** The cell of a coordinate and how far into it. */
function cell(x, size, cells) {
  const at = (x * cells) / size;
  const whole = Math.floor(at);
  return [whole, at - whole];
}

/** NHWC data as NCHW; data of other shapes as it is. */
export function channelsFirst(data, shape) {
  if (shape.length !== 4) return data;
  const [, h, w, c] = shape;
  const out = new Float32Array(data.length);
  for (let k = 0; k < c; k++) for (let i = 0; i < h * w; i++) out[k * h * w + i] = data[i * c + k];
  return out;
}
