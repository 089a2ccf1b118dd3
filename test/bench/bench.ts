/** `npm run bench`: the broker's CPU time and memory beside a bare relying party's, in one run. docs/performance.md */
import { mkdir } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { entryRow, measureCold, measureWarm } from './measure.ts'
import { fullPlan, quickPlan } from './plan.ts'
import { describeMachine, describeMisses, failures, table, verdictOf } from './report.ts'
import { startWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
})
const plan = values.quick ? quickPlan : fullPlan
const tell = (step: string) => void process.stderr.write(`${step}\n`)
const machine = {
  node: process.version,
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
  cores: os.availableParallelism(),
}
const startedAt = Date.now()

const profileFolder = values.profile === undefined ? undefined : path.resolve(values.profile)
if (profileFolder !== undefined) await mkdir(profileFolder, { recursive: true })

tell('building, and starting the provider, the vault and the store')
const starting = startWorld(plan)
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
  const measuring = { world, plan, tell, ...(profileFolder === undefined ? {} : { profileFolder }) }
  const cold = await measureCold(measuring)
  const warm = await measureWarm(measuring)
  const rows = [...warm, ...cold, entryRow(world)].sort((a, b) => (a.number ?? 99) - (b.number ?? 99))
  const seconds = Math.round((Date.now() - startedAt) / 1000)

  if (values.json) {
    const report = { machine, plan, seconds, rows: rows.map((row) => ({ ...row, result: verdictOf(row) })) }
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  } else {
    const how = `${plan.rounds} rounds in turns after ${plan.warmUpSignIns.toLocaleString('en')} sign-ins`
    const lines = [`${describeMachine(machine)}; ${how}; ${seconds} s.`, '', table(rows), '', ...describeMisses(rows)]
    process.stdout.write(`${lines.join('\n')}\n`)
  }
  if (values.check && failures(rows).length > 0) process.exitCode = 1
} finally {
  await world.close()
}
