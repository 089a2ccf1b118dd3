/** `npm run bench`: the broker's CPU time and memory beside a bare relying party's, in one run. docs/performance.md */
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { coldTable, countColdStart } from './cold-counts.ts'
import { measureBeside } from './measure-beside.ts'
import { measureCold, sizeRows } from './measure-cold.ts'
import { measureGrowth } from './measure-growth.ts'
import { measureOAuth } from './measure-oauth.ts'
import { measureLoad } from './measure-load.ts'
import type { Measuring } from './measure.ts'
import { measurePause } from './measure-pause.ts'
import { measureProfile } from './measure-profile.ts'
import { measureTelemetry } from './measure-telemetry.ts'
import { measureWarm } from './measure-warm.ts'
import { fullPlan, partNames, quickPlan } from './plan.ts'
import type { PartName } from './plan.ts'
import { describeMachine, describeMisses, failures, table, verdictOf } from './report.ts'
import type { Row } from './report.ts'
import { startWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    only: { type: 'string' },
    profile: { type: 'string' },
    beside: { type: 'string' },
  },
})
const plan = values.quick ? quickPlan : fullPlan
const unknown = values.only?.split(',').find((name) => !partNames.some((part) => part === name))
if (unknown !== undefined) {
  process.stderr.write(`--only takes ${partNames.join(', ')}, not "${unknown}".\n`)
  process.exit(2)
}
const isRequested = (part: PartName) =>
  values.only === undefined ? part !== 'load' : values.only.split(',').includes(part)
const tell = (step: string) => void process.stderr.write(`${step}\n`)
const machine = {
  node: process.version,
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
  cores: os.availableParallelism(),
}
const startedAt = Date.now()

tell('building, and starting the provider, the vault and the store')
const starting = startWorld({
  guests: plan.guests,
  people: plan.guests + plan.strangers,
  sourcemap: values.profile !== undefined,
})
// Children end with this process in any case; the folder goes only by this.
const giveUp = (why: string) => {
  tell(why)
  void starting.then((started) => started.close()).finally(() => process.exit(1))
}
setTimeout(() => giveUp(`Not finished after ${plan.minutes} minutes, and so given up.`), plan.minutes * 60_000).unref()
process.once('SIGINT', () => giveUp('Ended.'))
process.once('SIGTERM', () => giveUp('Ended.'))

const world = await starting
try {
  const measuring = { world, plan, tell }
  if (values.profile !== undefined) {
    process.stdout.write(`${await measureProfile(measuring, path.resolve(values.profile))}\n`)
  } else if (values.beside !== undefined) {
    process.stdout.write(`${table(await measureBeside(measuring, path.resolve(values.beside), isRequested))}\n`)
  } else await measureAll(measuring)
} finally {
  await world.close()
}

async function measureAll(measuring: Measuring): Promise<void> {
  const took: string[] = []
  const run = async <Result>(part: PartName, work: () => Promise<Result>): Promise<Result | undefined> => {
    if (!isRequested(part)) return undefined
    const began = Date.now()
    const result = await work()
    took.push(`${part} ${secondsSince(began)} s`)
    return result
  }
  // Counts first: they are the same on a busy machine, and leave the store as the second instance finds it.
  const counts = await run('counts', () => countColdStart(world))
  const cold = await run('cold', () => measureCold(measuring))
  const warm = await run('warm', () => measureWarm(measuring))
  const telemetry = await run('telemetry', () => measureTelemetry(measuring))
  const oauth = await run('oauth', () => measureOAuth(measuring))
  const growth = await run('growth', () => measureGrowth(measuring))
  const pause = await run('pause', () => measurePause(measuring))
  const load = await run('load', () => measureLoad(measuring))
  const parts: readonly (readonly Row[])[] = [warm, telemetry, oauth, growth, cold, sizeRows(world), pause, load].map(
    (rows) => rows ?? [],
  )
  const rows = sortByGoal(parts)
  const seconds = secondsSince(startedAt)

  if (values.json) {
    const report = { machine, plan, seconds, counts, rows: rows.map((row) => ({ ...row, result: verdictOf(row) })) }
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  } else {
    const how = `${plan.rounds} rounds in turns after ${plan.warmUpSignIns.toLocaleString('en')} sign-ins`
    const lines = [
      ...[`${describeMachine(machine)}; ${how}; ${seconds} s (${took.join(', ')}).`, '', table(rows), ''],
      ...(counts ? [coldTable(counts), ''] : []),
      ...describeMisses(rows),
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
  }
  if (values.check && failures(rows).length > 0) process.exitCode = 1
}

/** By number; a row without one stays below the one that it belongs to, or goes to the end where its part has none. */
function sortByGoal(parts: readonly (readonly Row[])[]): readonly Row[] {
  const groups = parts.flatMap((rows) => {
    let number = 99
    return rows.map((row) => ({ row, number: (number = row.number ?? number) }))
  })
  return groups.sort((a, b) => a.number - b.number).map(({ row }) => row)
}

function secondsSince(began: number): number {
  return Math.round((Date.now() - began) / 1000)
}
