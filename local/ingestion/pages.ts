/**
 * The page that shows what was reported: the newest operations, each as a tree of spans and events, then the metrics.
 */
import { createHash } from 'node:crypto'
import { Html, html } from '../../shared/http/html.ts'
import type { TelemetryItem } from './telemetry-item.ts'

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { width: min(60rem, 100% - 2rem); margin: 2rem auto; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
article { border: 1px solid GrayText; border-radius: .5rem; padding: .75rem 1rem; margin-bottom: 1rem; }
article p { margin: 0 0 .5rem; font-size: .85rem; }
h3 { font-size: 1rem; margin: 0; }
ul { margin: 0; padding-inline-start: 1.25rem; }
dl { margin: 0 0 .25rem; font-size: .85rem; display: flex; flex-wrap: wrap; gap: 0 1rem; opacity: .85; }
dl div { display: flex; gap: .35rem; } dt::after { content: ':'; } dd { margin: 0; }
dd, .reference { font-family: ui-monospace, monospace; }
summary { padding: .6rem 0; cursor: pointer; }
.type { font-size: .8rem; border: 1px solid GrayText; border-radius: .25rem; padding: 0 .3rem; }
.failed { color: light-dark(#b00020, #ff8a80); font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: start; padding: .25rem .75rem .25rem 0; vertical-align: top; }
th, td.number, time { overflow-wrap: normal; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.number, th.number { text-align: end; }
@media (width < 40rem) { .more { display: none; } }
`

export const pageHeaders = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Content-Security-Policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
}

const mostOperations = 50
const mostItemsShown = 200
const mostMetrics = 200
const longestText = 500
/** Measured values: their sum has no meaning. */
const measured = /\.(days_left|age_seconds)$/

interface Operation {
  readonly id: string
  readonly items: readonly TelemetryItem[]
  /** Time of its last item. */
  readonly last: string
}

/** @param dropped number of older items that were removed */
export function operationsPage(items: readonly TelemetryItem[], dropped: number): string {
  const operations = [...Map.groupBy(items.filter(isOfOperation), ({ operationId }) => operationId)]
    .map(([id = '', ofIt]) => ({
      id,
      items: ofIt,
      last: ofIt.reduce((last, { time }) => (time > last ? time : last), ''),
    }))
    .sort((one, other) => (one.last < other.last ? 1 : -1))
  // Timers have their own section: they run every half minute, and would displace the requests of people.
  const [withSteps = [], withoutStep = []] = [true, false].map((is) => operations.filter((one) => hasStep(one) === is))
  const body = html`<h1>What the broker reports</h1>
    <p>
      Stands in for Application Insights on this machine. ${items.length} items are kept in
      memory${dropped > 0 ? ` (${dropped} older ones are gone)` : ''}; <a href="/items">all of them as JSON</a>. Load
      the page again for what is new. Times are UTC.
    </p>
    <h2>Operations</h2>
    <p>
      One for each request, under the reference that pages and problems carry. The requests themselves are the host's to
      report, which it does in Azure only; here stands what the broker did within them.
    </p>
    ${withSteps.length === 0 ? html`<p>None yet. The broker sends a few seconds after a request.</p>` : list(withSteps)}
    ${
      withoutStep.length === 0
        ? undefined
        : html`<details>
            <summary>${withoutStep.length} without a step: timers, and what an instance fetches at its start</summary>
            ${list(withoutStep)}
          </details>`
    }
    <h2>Metrics</h2>
    ${metrics(items.filter(({ type }) => type === 'metric'))}`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>What the broker reports</title>
        <link rel="icon" href="data:," />
        ${new Html(`<style>${style}</style>`)}
      </head>
      <body>
        <main>${body}</main>
      </body>
    </html>`.text
}

function isOfOperation({ type, operationId }: TelemetryItem): boolean {
  return type !== 'metric' && operationId !== undefined
}

function hasStep({ items }: Operation): boolean {
  return items.some(({ type }) => type === 'event')
}

function list(operations: readonly Operation[]): Html {
  const newest = operations.slice(0, mostOperations)
  return html`${newest.map(operation)}
  ${operations.length > newest.length ? html`<p>And ${operations.length - newest.length} older ones.</p>` : undefined}`
}

function operation({ id, items, last }: Operation): Html {
  const shown = [...items].sort((one, other) => (one.time < other.time ? -1 : 1)).slice(0, mostItemsShown)
  const left = new Set(shown)
  /** Renders each item once, even where parents form a loop. */
  const tree = (level: readonly TelemetryItem[]): Html => {
    for (const item of level) left.delete(item)
    return html`<ul>
      ${level.map((item) => {
        const below = item.id === undefined ? [] : [...left].filter(({ parentId }) => parentId === item.id)
        return html`<li>${line(item)} ${below.length > 0 ? tree(below) : undefined}</li>`
      })}
    </ul>`
  }
  const spans = new Set(shown.map(({ id }) => id))
  const top = shown.filter(({ parentId }) => parentId === undefined || !spans.has(parentId))
  return html`<article>
    <h3>${short(title(shown))}</h3>
    <p>${clock(last)} <a class="reference" href="/items?operation=${encodeURIComponent(id)}">${short(id)}</a></p>
    ${tree(top)} ${left.size > 0 ? tree([...left]) : undefined}
    ${items.length > shown.length ? html`<p>And ${items.length - shown.length} more.</p>` : undefined}
  </article>`
}

/** Its steps where it has some, otherwise the span of the operation. */
function title(items: readonly TelemetryItem[]): string {
  const steps = items.filter(({ type }) => type === 'event').map(({ name }) => name.replace(/^broker\./, ''))
  return steps.join(', ') || (items.find(({ kind }) => kind === 'request')?.name ?? 'calls alone')
}

function clock(time: string): Html {
  return html`<time datetime="${time}">${time.slice(11, 19)}</time>`
}

function line(item: TelemetryItem): Html {
  const { type, kind, name, target, duration, success, resultCode, severity } = item
  const milliseconds = duration === undefined ? undefined : `${duration.toFixed(1)} ms`
  // The exporter writes 0 where there is none.
  const result = resultCode === '0' ? undefined : resultCode
  const facts = [target, milliseconds, severity, result].filter((fact) => fact !== undefined && fact !== '')
  // The target already shows the address.
  const properties = Object.fromEntries(Object.entries(item.properties).filter(([name]) => name !== 'server.address'))
  return html`<span class="type">${kind ?? type}</span> <strong>${short(name)}</strong> ${short(facts.join(' · '))}
    ${success === false || properties.outcome === 'failed' ? html`<span class="failed">failed</span>` : undefined}
    ${pairs({ ...properties, ...item.measurements })}`
}

function pairs(values: Readonly<Record<string, string | number>>): Html | undefined {
  const entries = Object.entries(values)
  if (entries.length === 0) return undefined
  return html`<dl>
    ${entries.map(
      ([name, value]) =>
        html`<div>
          <dt>${short(name)}</dt>
          <dd>${short(String(value))}</dd>
        </div>`,
    )}
  </dl>`
}

/** One row for each metric with its dimensions: the last value, and the total of the kept items. */
function metrics(items: readonly TelemetryItem[]): Html {
  if (items.length === 0) return html`<p>None yet.</p>`
  const series = [...Map.groupBy(items, ({ name, properties }) => JSON.stringify([name, properties])).values()]
  const rows = series.slice(-mostMetrics).map((ofIt) => {
    const last = ofIt.at(-1)
    const sum = ofIt.reduce((total, { value = 0 }) => total + value, 0)
    return html`<tr>
      <td><strong>${short(last?.name ?? '')}</strong> ${pairs(last?.properties ?? {})}</td>
      <td class="number">${last?.value}</td>
      <td class="number">${measured.test(last?.name ?? '') ? undefined : sum}</td>
      <td class="number more">${ofIt.length}</td>
      <td class="more">${clock(last?.time ?? '')}</td>
    </tr>`
  })
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Metric</th>
        <th scope="col" class="number">Last</th>
        <th scope="col" class="number">Sum</th>
        <th scope="col" class="number more">Reports</th>
        <th scope="col" class="more">Last report</th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`
}

function short(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text
}
