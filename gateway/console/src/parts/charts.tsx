// Pictures as inline SVG that stretches; their labels are text beside them, and each has its numbers in words.
import { change, charts as t, count, day } from "../texts";

export interface Point { at: number; value: number }

function line(points: readonly Point[], width: number, height: number, low: number, high: number): string {
  const first = points[0]?.at ?? 0, last = points.at(-1)?.at ?? 1;
  return points.map((point, i) => {
    const x = last === first ? (i === 0 ? 0 : width) : ((point.at - first) / (last - first)) * width;
    const y = high === low ? height / 2 : height - ((point.value - low) / (high - low)) * height;
    return `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}

export function Spark({ history }: { history: readonly { at: string; size: number }[] }) {
  const points = history.map(each => ({ at: Date.parse(each.at), value: each.size }));
  const values = points.map(point => point.value);
  const low = Math.min(...values), high = Math.max(...values);
  const last = points.at(-1);
  if (!last) return <span class="quiet small">{t.noHistory}</span>;
  const y = high === low ? 12 : 24 - ((last.value - low) / (high - low)) * 24;
  return (
    <svg class="spark" viewBox="0 -1 112 26" role="img" aria-label={t.spark(count(values[0] ?? 0), count(last.value))}>
      <path d={points.length === 1 ? `M0 12L110 12` : line(points, 110, 24, low, high)} /><circle cx="110" cy={y} r="2" />
    </svg>
  );
}

/** A round number at or above the largest value, and its quarters. */
function scale(high: number): number[] {
  if (high <= 0) return [0, 1];
  const step = 10 ** Math.floor(Math.log10(high / 4 || 1));
  const unit = [1, 2, 2.5, 5, 10].map(each => each * step).find(each => each * 4 >= high) ?? step * 10;
  const whole = Math.max(1, Math.ceil(unit));
  return [0, 1, 2, 3, 4].map(each => each * whole);
}

export interface Span { at: string; size: number; entered: number; exited: number; version: number }

/** Size over time from zero; below, who entered and left. */
export function SizeChart({ spans }: { spans: readonly Span[] }) {
  const points = spans.map(each => ({ at: Date.parse(each.at), value: each.size }));
  const first = points[0]?.at ?? 0, last = points.at(-1)?.at ?? 1;
  const marks = scale(Math.max(...points.map(point => point.value)));
  const top = marks.at(-1) ?? 1;
  // Of the first count everybody entered: that would leave the others invisible.
  const flow = Math.max(1, ...spans.filter(each => each.entered < each.size).map(each => Math.max(each.entered, each.exited)));
  const bar = (n: number) => (44 * Math.min(n, flow)) / flow;
  const x = (at: number) => (last === first ? 0 : ((at - first) / (last - first)) * 1000);
  const versions = spans.filter((each, i) => i > 0 && each.version !== spans[i - 1]?.version);
  const width = Math.max(2, Math.min(24, 600 / Math.max(1, spans.length)));
  return (
    <figure>
      <div class="chart">
        <div class="scale" aria-hidden="true">{marks.map(mark => <span key={mark} style={{ top: `${100 - (100 * mark) / top}%` }}>{count(mark)}</span>)}</div>
        <div class="plot">
          <svg viewBox="0 0 1000 160" preserveAspectRatio="none" role="img" aria-label={t.sizes(spans.length, count(points[0]?.value ?? 0), count(points.at(-1)?.value ?? 0))}>
            {marks.map(mark => <line key={mark} class={mark === 0 ? "zero" : ""} x1="0" x2="1000" y1={160 - (160 * mark) / top} y2={160 - (160 * mark) / top} />)}
            {versions.map(each => <line key={each.at} class="version" x1={x(Date.parse(each.at))} x2={x(Date.parse(each.at))} y1="0" y2="160" />)}
            <path d={points.length === 1 ? `M0 ${160 - (160 * (points[0]?.value ?? 0)) / top}L1000 ${160 - (160 * (points[0]?.value ?? 0)) / top}` : line(points, 1000, 160, 0, top)} />
          </svg>
        </div>
        <div class="scale low" aria-hidden="true"><span style={{ top: "6px" }}>{change(flow)}</span><span style={{ top: "44px" }}>0</span><span style={{ top: "82px" }}>{change(-flow)}</span></div>
        <div class="plot low">
          <svg viewBox="0 0 1000 88" preserveAspectRatio="none" aria-hidden="true">
            {spans.map(each => (
              <g key={each.at}>
                <rect class="in" x={Math.min(1000 - width, x(Date.parse(each.at)))} width={width} y={44 - bar(each.entered)} height={bar(each.entered)} />
                <rect class="out" x={Math.min(1000 - width, x(Date.parse(each.at)))} width={width} y="44" height={bar(each.exited)} />
              </g>
            ))}
            <line class="zero" x1="0" x2="1000" y1="44" y2="44" />
          </svg>
        </div>
        <div class="dates"><span>{spans[0] && day(spans[0].at)}</span><span>{spans.at(-1) && day(spans.at(-1)?.at ?? "")}</span></div>
      </div>
    </figure>
  );
}

export function Bars({ days, label }: { days: readonly { day: string; events: number }[]; label: string }) {
  const high = Math.max(1, ...days.map(each => each.events));
  const width = 300 / Math.max(1, days.length);
  return (
    <>
      <svg class="bars" viewBox="0 0 300 48" preserveAspectRatio="none" role="img" aria-label={label}>
        {days.map((each, i) => <rect key={each.day} class={i === days.length - 1 ? "now" : ""} x={i * width} width={Math.max(1, width - 1.5)} y={48 - (48 * each.events) / high} height={(48 * each.events) / high} />)}
      </svg>
      <div class="axis"><span>{days[0] && day(days[0].day)}</span><span>{t.today}</span></div>
    </>
  );
}
