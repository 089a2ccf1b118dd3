/** Ratios of one run beside their goals, as a table for people and as JSON for programs. */
interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

interface Goal {
  readonly must: number
  readonly stretch?: number
}

/** One line of the table. The ratio of each round is taken before the median, since rounds are paired. */
export interface Row {
  /** Number of the goal. */
  readonly number?: number
  readonly what: string
  readonly unit: string
  readonly broker: Spread
  readonly other?: { readonly name: string; readonly value: Spread }
  /** The value that is compared with the goal: the paired ratio, or the figure itself. */
  readonly figure: Spread
  readonly goal?: Goal
  /** The figure is no ratio, but the broker's own. */
  readonly isAbsolute?: boolean
}

interface Machine {
  readonly node: string
  readonly cpu: string
  readonly cores: number
}

type Verdict = 'stretch' | 'must' | 'missed' | undefined

/** The tolerance of a goal: two copies of one program differ by this much. */
const tolerance = 1.1

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('Nothing was measured.')
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? NaN
  const middle = (sorted.length - 1) / 2
  return { median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, low: at(0), high: at(sorted.length - 1) }
}

/** Broker against another program, round by round. */
export function compare(
  row: Pick<Row, 'number' | 'what' | 'unit' | 'goal'>,
  broker: readonly number[],
  [name, other]: readonly [name: string, values: readonly number[]],
): Row {
  const ratios = broker.map((value, round) => value / (other[round] ?? NaN))
  return {
    ...row,
    broker: spreadOf(broker),
    other: { name, value: spreadOf(other) },
    figure: spreadOf(ratios),
  }
}

/** The broker's own figure against its goal; the other one is printed beside it for comparison. */
export function figureOf({
  values,
  other,
  ...row
}: Pick<Row, 'number' | 'what' | 'unit' | 'goal'> & {
  readonly values: readonly number[]
  readonly other?: readonly [name: string, values: readonly number[]]
}): Row {
  const spread = spreadOf(values)
  const beside = other ? { other: { name: other[0], value: spreadOf(other[1]) } } : {}
  return { ...row, ...beside, broker: spread, figure: spread, isAbsolute: true }
}

export function verdictOf({ figure, goal }: Row): Verdict {
  if (!goal) return undefined
  if (goal.stretch !== undefined && figure.median <= goal.stretch) return 'stretch'
  return figure.median <= goal.must ? 'must' : 'missed'
}

/** Rows that are off their goal by more than the tolerance. */
export function failures(rows: readonly Row[]): readonly Row[] {
  return rows.filter(({ figure, goal }) => goal && figure.median > goal.must * tolerance)
}

/** One sentence for each goal that is missed, or one that reports that none is. */
export function describeMisses(rows: readonly Row[]): readonly string[] {
  const missed = rows.filter((row) => verdictOf(row) === 'missed')
  if (missed.length === 0) return ['Every goal that was measured is reached.']
  return missed.map(({ number, what, figure, goal }) => {
    const by = ((figure.median / (goal?.must ?? NaN) - 1) * 100).toFixed(0)
    return `Missed: goal ${number}, ${what}: ${round(figure.median)} where ${goal?.must} is allowed, ${by} % too much.`
  })
}

/** Markdown, padded so that it also reads in a terminal. */
export function table(rows: readonly Row[]): string {
  const head = ['goal', 'what', 'broker', 'against', 'ratio (range)', 'must', 'stretch', 'result']
  const lines = rows.map((row) => [
    row.number === undefined ? '' : String(row.number),
    row.what,
    `${round(row.broker.median)} ${row.unit}`,
    row.other ? `${row.other.name} ${round(row.other.value.median)} ${row.unit}` : '',
    row.other || row.figure.low !== row.figure.high ? withRange(row) : '',
    row.goal ? String(row.goal.must) : '',
    row.goal?.stretch === undefined ? '' : String(row.goal.stretch),
    verdictOf(row) ?? '',
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)))
  const format = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  return [format(head), format(widths.map((width) => '-'.repeat(width))), ...lines.map(format)].join('\n')
}

export function describeMachine({ node, cpu, cores }: Machine): string {
  return `Node ${node} on ${cores} cores (${cpu})`
}

function withRange({ figure: { median, low, high }, isAbsolute, unit }: Row): string {
  return isAbsolute
    ? `${round(median)} ${unit} (${round(low)}–${round(high)})`
    : `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
