/** The last lines of `npm test`: the skipped tests with the program that each needs, and the slowest files. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Reporter, TestModule } from 'vitest/node'
import { programs } from './programs.ts'

const root = path.join(import.meta.dirname, '..', '..')
const slowest = 10

export default class Summary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = [...skipped(modules), ...clients(modules), ...slow(modules)]
    if (lines.length > 0) console.log(`\n${lines.join('\n')}`)
  }
}

const nameOf = ({ moduleId }: TestModule) => path.relative(root, moduleId).split(path.sep).join('/')

function skipped(modules: readonly TestModule[]): readonly string[] {
  const counts = modules
    .map((one) => ({ name: nameOf(one), count: [...one.children.allTests('skipped')].length }))
    .filter(({ count }) => count > 0)
  if (counts.length === 0) return []

  const lines: string[] = []
  let named = 0
  for (const { name, tests, howToGet, isThere } of programs) {
    const count = counts.filter((one) => one.name.startsWith(`test/${tests}/`)).reduce((sum, one) => sum + one.count, 0)
    if (count === 0 || isThere()) continue
    named += count
    lines.push(`  ${count} in test/${tests}: ${name} is missing. Get it: ${howToGet}`)
  }
  const all = counts.reduce((sum, { count }) => sum + count, 0)
  if (all > named) lines.push(`  ${all - named} others: ${counts.map(({ name }) => name).join(', ')}`)
  return ['Skipped tests:', ...lines, '']
}

/** In a run of all files: client libraries that are not installed. */
function clients(modules: readonly TestModule[]): readonly string[] {
  if (modules.length <= slowest || existsSync(path.join(root, 'test/clients/node_modules'))) return []
  return ['test/clients is skipped: its client libraries are not installed. Run them: npm run test:clients', '']
}

function slow(modules: readonly TestModule[]): readonly string[] {
  if (modules.length <= slowest) return []
  const durations = modules.map((one) => ({ name: nameOf(one), duration: one.diagnostic().duration }))
  durations.sort((one, other) => other.duration - one.duration)
  return [
    'Slowest files:',
    ...durations
      .slice(0, slowest)
      .map(({ name, duration }) => `${(duration / 1000).toFixed(1).padStart(7)} s  ${name}`),
  ]
}
