import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../shared/errors/catalogue.ts'
import { BrokerError } from '../../shared/errors/errors.ts'
import type { ErrorCode } from '../../shared/errors/catalogue.ts'
import { createFlowEvents } from '../../shared/telemetry/flow-events.ts'
import type { StepName } from '../../shared/telemetry/flow-events.ts'
import { createLog } from '../../shared/telemetry/log.ts'
import type { LogLevel } from '../../shared/telemetry/log.ts'
import { noTelemetry } from '../../shared/telemetry/telemetry.ts'
import { tenantActions } from '../../shared/tenants/tenant-administration.ts'
import { root } from '../setup/bicep.ts'
import type { Snapshot } from '../setup/bicep.ts'
import { conditionsOf, resources } from './rules/predicted-resources.ts'

type Row = Readonly<Record<string, unknown>>

const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const reviewed = JSON.parse(read('test/infra/snapshots/default-second.snapshot.json')) as Snapshot
const stepNames = /type StepName = (.*)/.exec(read('shared/telemetry/flow-events.ts'))![1]!.match(/\w+/g) as StepName[]
const codes = Object.keys(errorCatalogue) as ErrorCode[]
const time = '2026-11-25T03:00:00Z'

describe('the alert that people cannot sign in', () => {
  const condition = conditionOf('sign-in-fails')

  it('counts by code and provider what the operator or the provider has to remedy, at every step but a sign-out', () => {
    const rows = metricsOf((flowEvents) => {
      for (const name of stepNames)
        for (const code of codes) flowEvents.begin(name, { provider: 'p' }).fail(new BrokerError(code))
    })

    const counted = run(condition, 'AppMetrics', rows)

    const theirs = codes.filter((code) => ['operator', 'provider'].includes(errorCatalogue[code].responsible))
    expect(theirs).toContain('client_refused')
    expect(stepNames).toContain('sign_out')
    expect(counted).toEqual(
      stepNames
        .filter((name) => name !== 'sign_out')
        .flatMap(() => theirs.map((code) => ({ TimeGenerated: time, code, provider: 'p', failures: 1 }))),
    )
    expect(sumOf(condition, counted)).toEqual(new Map(theirs.map((code) => [`${code} p`, stepNames.length - 1])))
  })

  it('adds up what an instance has summed, and is silent about what went well', () => {
    const rows = metricsOf((flowEvents) => {
      const error = new BrokerError('provider_unavailable', { provider: 'partner' })
      for (let count = 0; count < 6; count++) flowEvents.begin('redeemed', { provider: 'partner' }).fail(error)
      for (let count = 0; count < 2; count++)
        flowEvents.begin('started', { provider: 'primary' }).fail(new BrokerError(error.code))
      // The token of a session names no provider, but its failed renewal does.
      flowEvents.begin('token').fail(error)
      for (let count = 0; count < 9; count++) flowEvents.begin('redeemed').end()
      flowEvents.begin('returned').end('repeated')
    })

    const sums = sumOf(condition, run(condition, 'AppMetrics', rows))

    expect([...sums]).toEqual([
      ['provider_unavailable partner', 7],
      ['provider_unavailable primary', 2],
    ])
    expect(condition).toMatchObject({ operator: 'GreaterThan', threshold: 5, timeAggregation: 'Total' })
  })

  it('treats an unknown error as one of the operator', () => {
    const rows = metricsOf((flowEvents) => flowEvents.begin('session').fail(new TypeError('nobody expected this')))

    expect(run(condition, 'AppMetrics', rows)).toEqual([
      { TimeGenerated: time, code: 'internal', provider: '', failures: 1 },
    ])
  })
})

describe('the alert that the certificate needs an operator', () => {
  const condition = conditionOf('certificate')
  const events = [...read('docs/certificate.md').matchAll(/^\| `(certificate [a-z ]+)` +\| (info|warn|error) /gm)].map(
    ([, event, level]) => ({ event: event!, level: level as LogLevel }),
  )
  // One run that ended early is no alert: the next one goes on, and a roll that does not get on is stuck.
  const errors = events
    .filter(({ event, level }) => level === 'error' && event !== 'certificate roll failed')
    .map(({ event }) => event)

  it('is raised by every event that docs/certificate.md calls an error, but for a run that failed, and by no other', () => {
    const lines = events.flatMap(({ event, level }) => linesOf((log) => log(level, event, { daysLeft: 20 })))

    const raised = run(condition, 'AppTraces', lines)

    expect(errors.length).toBeGreaterThan(3)
    expect(events.length).toBeGreaterThan(errors.length)
    expect(raised.map(({ event }) => event)).toEqual(errors)
    expect(condition).toMatchObject({ operator: 'GreaterThan', threshold: 0, timeAggregation: 'Count' })
  })

  it('knows them in a line of the process too, which has its level before the JSON', () => {
    const lines = events.flatMap(({ event, level }) => linesOf((log) => log(level, event), `${level} `))

    expect(run(condition, 'AppTraces', lines).map(({ event }) => event)).toEqual(errors)
  })

  it('is not raised by a line that only repeats such a text', () => {
    const detail = '{"event":"certificate unusable"}'
    const lines = linesOf((log) => log('warn', 'fault', { detail }))

    expect(lines[0]!['Message']).toContain('certificate unusable')
    expect(run(condition, 'AppTraces', lines)).toEqual([])
    expect(run(condition, 'AppTraces', [{ TimeGenerated: time, Message: detail }])).toHaveLength(1)
  })
})

describe('the alert that the second credential is in use', () => {
  const condition = conditionOf('second-credential')
  const codes = ['vault_unavailable', 'client_refused', 'paused']

  it('is raised by each use, by its code, also in a line of the process', () => {
    const lines = ['', 'warn '].flatMap((before) =>
      codes.flatMap((code) => linesOf((log) => log('warn', 'second credential used', { code }), before)),
    )

    expect(run(condition, 'AppTraces', lines).map(({ code }) => code)).toEqual([...codes, ...codes])
    expect(condition).toMatchObject({ operator: 'GreaterThan', threshold: 0, timeAggregation: 'Count' })
  })

  it('is not raised by a return to the certificate, or by a line that repeats such a text', () => {
    const lines = linesOf((log) => {
      log('info', 'certificate in use again')
      log('warn', 'fault', { detail: 'second credential used' })
    })

    expect(run(condition, 'AppTraces', lines)).toEqual([])
  })
})

describe('the alert that an operator acted', () => {
  const condition = conditionOf('operator-acts')
  const selectors = ['frontEnd', 'frontEnd objectId subject', 'tenant', 'username']
  const changes = tenantActions.filter((action) => action !== 'list')
  const key = '0123abcd'

  it('is raised by each end of sessions and each change of a tenant, with the fingerprint of the key, and not by a list', () => {
    const lines = linesOf((log) => {
      for (const selector of selectors) {
        log('warn', 'sessions ended by an operator', { reference: 'r', selector, sessions: 0, key })
        log('info', 'sessions listed by an operator', { reference: 'r', selector, sessions: 2, key })
      }
      for (const action of changes) log('warn', 'tenant changed by an operator', { reference: 'r', action, key })
      log('info', 'tenants listed by an operator', { reference: 'r', key })
    })

    const raised = run(condition, 'AppTraces', lines)

    expect(raised.map(({ act }) => act)).toEqual([...selectors, ...changes])
    expect(new Set(raised.map((row) => row['key']))).toEqual(new Set([key]))
    expect(condition).toMatchObject({ operator: 'GreaterThan', threshold: 0, timeAggregation: 'Count' })
  })

  it('is not raised by a line that only repeats such a text', () => {
    const lines = linesOf((log) => log('warn', 'fault', { detail: 'sessions ended by an operator' }))

    expect(run(condition, 'AppTraces', lines)).toEqual([])
  })
})

describe('the alert about other identities', () => {
  const broker = '11111111-aaaa-4aaa-8aaa-111111111111'
  const host = '22222222-bbbb-4bbb-8bbb-222222222222'
  const condition = withIdentities(conditionOf('other-identity'), broker, host)
  const request = (RequesterObjectId: string, OperationName = 'QueryEntity', StatusText = 'Success') => ({
    TimeGenerated: time,
    RequesterObjectId,
    OperationName,
    StatusText,
  })

  it('is raised by each identity that is neither the broker nor its host, and by requests without one', () => {
    const rows = [request(broker), request(host, 'PutBlob'), request('person'), request('', 'DeleteEntity')]

    const raised = run(condition, 'union isfuzzy=true StorageTableLogs, StorageBlobLogs', rows)

    expect(raised.map(({ RequesterObjectId }) => RequesterObjectId)).toEqual(['person', ''])
    expect(condition).toMatchObject({ operator: 'GreaterThan', threshold: 0, timeAggregation: 'Count' })
  })

  it('is not raised by refused requests, or by the portal that reads the properties of the service', () => {
    const rows = [
      request('person', 'QueryEntity', 'AuthorizationPermissionMismatch'),
      request('person', 'GetTableServiceProperties'),
    ]

    expect(run(condition, 'union isfuzzy=true StorageTableLogs, StorageBlobLogs', rows)).toEqual([])
  })
})

/** The one condition of a log alert, as it was reviewed. */
function conditionOf(alert: string): Row {
  const found = resources(reviewed, 'Microsoft.Insights/scheduledQueryRules').find(({ name }) => name.endsWith(alert))
  const [condition] = conditionsOf(found)
  if (!condition) throw new Error(`There is no log alert ${alert}.`)
  return condition
}

/** Evaluates the ARM expression around a query with the object ids that are known after the deployment. */
function withIdentities(condition: Row, ...identities: readonly string[]): Row {
  const [, query = ''] = /^\[format\('([\s\S]*)', reference\(.*$/.exec(String(condition['query'])) ?? []
  const expected = ['id-broker-k', 'id-broker-host-k']
  expected.forEach((name) => expect(condition['query']).toContain(`userAssignedIdentities/${name}`))
  return {
    ...condition,
    query: query.replaceAll("''", "'").replace(/\{(\d)\}/g, (_, index: string) => identities[Number(index)] ?? ''),
  }
}

/** The broker's counters, as rows of the table that stores the exporter's metrics. */
function metricsOf(happens: (flowEvents: ReturnType<typeof createFlowEvents>) => void): Row[] {
  const sums = new Map<string, { Name: string; Sum: number; Properties: Row; TimeGenerated: string }>()
  const count = (name: string, fields: Row = {}) => {
    const key = JSON.stringify([name, fields])
    const before = sums.get(key)
    sums.set(key, { TimeGenerated: time, Name: name, Properties: fields, Sum: (before?.Sum ?? 0) + 1 })
  }
  happens(createFlowEvents({ telemetry: { ...noTelemetry, count }, clock: Date.now, isFrontEnd: () => true }))
  return [...sums.values()]
}

/** The broker's log lines, as rows of the table that stores the host's log. */
function linesOf(happens: (log: ReturnType<typeof createLog>) => void, before = ''): Row[] {
  const rows: Row[] = []
  happens(createLog((_, line) => rows.push({ TimeGenerated: time, Message: before + line })))
  return rows
}

/** As the rule adds up: one number for each combination of values of its dimensions. */
function sumOf({ metricMeasureColumn, dimensions }: Row, rows: readonly Row[]): Map<unknown, number> {
  const names = (dimensions as readonly { name: string }[]).map(({ name }) => name)
  const sums = new Map<unknown, number>()
  for (const row of rows) {
    const values = names.map((name) => String(row[name])).join(' ')
    sums.set(values, (sums.get(values) ?? 0) + Number(row[String(metricMeasureColumn)]))
  }
  return sums
}

/** As much of the query language as the alerts use; any other text in a query is an error. */
function run({ query }: Row, table: string, rows: readonly Row[]): Row[] {
  const [from, ...operators] = String(query).trim().split('\n')
  expect(from).toBe(table)
  return operators.reduce<Row[]>(
    (left, line) => {
      const [, operator, rest = ''] = /^\| (\w+) (.*)$/.exec(line) ?? []
      if (operator === 'where') return left.filter((row) => rest.split(' and ').every((clause) => holds(clause, row)))
      const columns = rest.split(/, (?![^(]*\))/)
      const made = (row: Row) => Object.fromEntries(columns.map((column) => columnOf(column, row)))
      if (operator === 'extend') return left.map((row) => ({ ...row, ...made(row) }))
      if (operator === 'project') return left.map(made)
      throw new Error(`Nobody knows what this does: ${line}`)
    },
    [...rows],
  )
}

function holds(clause: string, row: Row): boolean {
  const [, column = '', operator, operand = ''] = /^(\w+) (==|in|has|!in|!endswith) (.+)$/.exec(clause) ?? []
  if (!(column in row)) throw new Error(`There is no column ${column}.`)
  const values: string[] = operand.match(/(?<=')\w[^']*(?=')/g) ?? []
  const value = String(row[column])
  if (operator === 'has') return values.every((word) => new RegExp(`(?<!\\w)${word}(?!\\w)`, 'i').test(value))
  if (operator === '!endswith') return values.every((word) => !value.toLowerCase().endsWith(word.toLowerCase()))
  return values.includes(value) === (operator !== '!in')
}

function columnOf(column: string, row: Row): [string, unknown] {
  const [name = '', expression = name] = column.split(' = ')
  const property = /^tostring\(Properties\.(\w+)\)$/.exec(expression)?.[1]
  // A property that isn't there is an empty text.
  if (property !== undefined) return [name, (row['Properties'] as Record<string, string>)[property] ?? '']
  const [, pattern, group, from] = /^extract\('(.+)', (\d), (\w+)\)$/.exec(expression) ?? []
  if (pattern !== undefined) return [name, new RegExp(pattern).exec(String(row[from!]))?.[Number(group)] ?? '']
  if (!(expression in row)) throw new Error(`There is no column ${expression}.`)
  return [name, row[expression]]
}
