/** Lines of the worker, and those that arrive on the real host. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { consoleLevel, filterConsole } from '../../../local/functions-host/console-filter.ts'
import { readHostJson } from '../../../local/functions-host/host-json.ts'
import { createSampler } from '../../../local/functions-host/sampler.ts'
import { createLog } from '../../../shared/telemetry/log.ts'
import type { LogLevel } from '../../../shared/telemetry/log.ts'

const root = path.join(import.meta.dirname, '../../..')

describe('the level of a line', () => {
  it.each([
    ['warn {"event":"fault"}', 'warning'],
    ['A WARNING, and an error', 'warning'],
    ['error {"event":"certificate refused"}', 'error'],
    ['2 steps failed', 'error'],
    ['Severe', 'error'],
    ['info {"event":"certificate step"}', 'information'],
    ['- Broker__FrontEnds is not JSON.', 'information'],
  ])('of %j is %s', (line, level) => expect(consoleLevel(line)).toBe(level))
})

describe('host.json', () => {
  /** Each row of the table of log lines: `| `certificate step` | info | … |`. */
  async function promisedLines(): Promise<readonly (readonly [string, LogLevel])[]> {
    const page = await readFile(path.join(root, 'docs/certificate.md'), 'utf8')
    return [...page.matchAll(/^\| `(certificate [a-z ]+)` +\| (info|warn|error) /gm)].map(
      ([, event = '', level]) => [event, level as LogLevel] as const,
    )
  }
  const written = (event: string, level: LogLevel) => {
    let text = ''
    createLog((level, line) => (text += `${level} ${line}\n`))(level, event, { code: 'client_refused', daysLeft: 20 })
    return text
  }

  it('passes on every line that docs/certificate.md promises', async () => {
    const { logLevels } = await readHostJson(root)
    const lines = await promisedLines()

    expect(lines.length).toBeGreaterThan(8)
    for (const [event, level] of lines) expect(filterConsole(written(event, level), logLevels)).toContain(event)
  })

  it('passes on every line of refused settings, not only the first', async () => {
    const { logLevels } = await readHostJson(root)
    const text =
      'error 2 settings are refused:\n- Broker__FrontEnds is not JSON. Write a list.\n- Broker__X is unknown.\n'

    expect(filterConsole(text, logLevels)).toBe(text)
  })

  it('needs its own entry for that: under Host alone, lines without a word such as error are dropped', () => {
    const levels = { default: 'Information', Host: 'Warning' }

    expect(filterConsole(written('certificate step', 'info'), levels)).toBe('')
    expect(filterConsole(written('certificate refused', 'error'), levels)).not.toBe('')
  })
})

describe('the sampling of the host', () => {
  it('keeps five traces of a burst, and five a second after it', () => {
    let now = 0
    const isSampled = createSampler({}, () => now)
    const kept = (requests: number) => Array.from({ length: requests }, isSampled).filter(Boolean).length

    expect(kept(40)).toBe(5)
    now += 200
    expect(kept(40)).toBe(1)
    now += 60_000
    expect(kept(40)).toBe(5)
  })

  it('follows the settings of OpenTelemetry', () => {
    const kept = (settings: Readonly<Record<string, string>>) =>
      Array.from(
        { length: 40 },
        createSampler(settings, () => 0),
      ).filter(Boolean).length

    expect(kept({ OTEL_TRACES_SAMPLER: 'always_on' })).toBe(40)
    expect(kept({ OTEL_TRACES_SAMPLER: 'microsoft.rate_limited', OTEL_TRACES_SAMPLER_ARG: '12' })).toBe(12)
  })
})
