// Bar charts as SVG text, by ECharts without a browser: one chart a block, below each other.
import * as echarts from "echarts";

const colours = ["#0a6e7c", "#b5462f", "#d8a127", "#5b6fb5", "#7a4f8f", "#5f8a4c"];
const height = 260;

/** @param charts what views.mjs makes; @returns {string} */
export function svg(title, charts) {
  const plot = echarts.init(null, null, {
    renderer: "svg",
    ssr: true,
    width: 900,
    height: 60 + charts.length * height,
  });
  const names = [...new Set(charts.flatMap((c) => c.series.map((s) => s.name)))];
  const at = (i) => 70 + i * height;
  plot.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    color: colours,
    title: [
      { text: title, left: 12, top: 8, textStyle: { fontSize: 15 } },
      ...charts.map((c, i) => ({ text: c.title, left: 12, top: at(i) - 6, textStyle: { fontSize: 12 } })),
    ],
    legend: { data: names, top: 34, left: 12, itemGap: 60 },
    grid: charts.map((_, i) => ({ left: 56, right: 20, top: at(i) + 28, height: height - 80 })),
    xAxis: charts.map((c, i) => ({ type: "category", gridIndex: i, data: c.categories })),
    yAxis: charts.map((_, i) => ({ type: "value", gridIndex: i })),
    series: charts.flatMap((c, i) =>
      c.series.map((s) => ({
        type: "bar",
        name: s.name,
        color: colours[names.indexOf(s.name) % colours.length],
        xAxisIndex: i,
        yAxisIndex: i,
        data: s.values.map((v) => (typeof v !== "number" ? "-" : Number(v.toPrecision(3)))),
        label: { show: true, position: "top", fontSize: 9 },
      })),
    ),
  });
  const text = plot.renderToSVGString();
  plot.dispose();
  // Its style sheet is about hovering; a title is what readers who do not see the bars get.
  return text.replace(/<style[\s\S]*?<\/style>\n?/, "").replace(">", `><title>${title}</title>`);
}
