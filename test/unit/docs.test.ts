import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { routes } from '../../shared/http/routes.ts'
import { declarations } from '../../shared/settings/declarations.ts'

const root = path.join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
  ...readdirSync(path.join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
]

describe('the documentation', () => {
  it.each(pages)('%s: its links and pictures lead somewhere', (page) => {
    const targets = [...read(page).matchAll(/\]\(([^)\s]+)\)|src="([^"]+)"/g)].map(([, link, image]) => link ?? image!)
    const local = targets.filter((target) => !/^[a-z]+:/.test(target))

    expect(local.filter((target) => !leadsSomewhere(page, target))).toEqual([])
  })

  it('lists every function of functions/index.ts, by name and route', () => {
    const index = read('functions/index.ts')
    const registered = [...index.matchAll(/^(?:open|keyed)\('(\w+)'/gm)]
    expect(registered.map(([, name]) => name).sort()).toEqual(Object.keys(routes).sort())
    const ways = Object.entries(routes).map(([name, route]) => {
      return `| \`/${route.startsWith('{') ? '' : route}\` | \`${name}\` |`
    })
    const table = read('docs/architecture.md').replace(/ +/g, ' ')

    const others = [...index.matchAll(/app\.(?:timer|eventGrid|warmup)\('(\w+)'/g)].map(
      ([, name]) => `| \`${name!}\` |`,
    )

    expect(ways.length).toBeGreaterThan(8)
    expect([...ways, ...others].filter((way) => !table.includes(way))).toEqual([])
  })

  it('links every page from the README, and lists every command in CONTRIBUTING.md', () => {
    const readme = read('README.md')
    const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts)
    const contributing = read('CONTRIBUTING.md')
    const commands = contributing.slice(
      contributing.indexOf('## Commands'),
      contributing.indexOf('## Where to change what'),
    )
    // The check is CI's own.
    const owed = scripts.filter((name) => name !== 'format:check')

    expect(pages.filter((page) => page !== 'README.md' && !readme.includes(`](${page})`))).toEqual([])
    expect(owed.filter((name) => !new RegExp(`\\b${name}\\b`).test(commands))).toEqual([])
    const named = pages.flatMap((page) => [...read(page).matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!))
    expect(named.filter((name) => !scripts.includes(name))).toEqual([])
  })

  it('runs tests that exist', () => {
    const commands = [
      ...`${read('test/README.md')}\n${read('CONTRIBUTING.md')}`.matchAll(/(test\/\S+)( -t '([^']+)')?/g),
    ]
    const runs = commands.flatMap(([, place = '', , name]) => (name === undefined ? [] : [{ place, name }]))

    expect(runs.length).toBeGreaterThan(0)
    for (const { place, name } of runs) {
      const files = readdirSync(path.join(root, place)).filter((file) => file.endsWith('.test.ts'))
      expect(
        files.some((file) => read(`${place}/${file}`).includes(name)),
        name,
      ).toBe(true)
    }
  })

  it('explains to operators every step, sum and property that is reported, and no other', () => {
    const page = read('docs/operations.md')
    const observers = [
      'store/observed-store',
      'vault/observed-vault',
      'http/observed-network',
      'session/observed-access-tokens',
      'credential/observed-assertions',
    ].map((file) => `shared/${file}.ts`)
    const sources = ['shared/telemetry/flow-events.ts', ...observers, 'shared/telemetry/export-queue.ts']
    const code = [...sources, 'functions/compose/certificate.ts', 'functions/session.ts'].map(read).join('\n')
    const steps = /export type StepName = (.*)/
      .exec(code)![1]!
      .match(/\w+/g)!
      .map((name) => `broker.${name}`)
    const metrics = [...code.matchAll(/'(broker\.[\w.]+)'/g)].map(([, name]) => name!)
    const fields = [...code.matchAll(/\b(front_end|duration_ms|since_start_ms|instance|by|outcome)\b/g)].map(
      ([one]) => one,
    )

    expect(metrics.length).toBeGreaterThan(5)
    expect([...steps, ...metrics, ...fields].filter((name) => !page.includes(`\`${name}\``))).toEqual([])
    const named = [...page.matchAll(/`(broker\.[a-z_.]+)`/g)].map(([, name]) => name!)
    expect(named.filter((name) => ![...steps, ...metrics].includes(name))).toEqual([])
  })

  it('queries tables and columns of the workspace, and properties and fields that the broker reports', () => {
    const page = read('docs/operations.md')
    const queries = [...page.matchAll(/^```kusto\n([^]*?)^```/gm)].map(([, query]) => query!)
    const events = ['flow-events', 'log'].map((file) => read(`shared/telemetry/${file}.ts`)).join('\n')

    const unknown = queries.flatMap((query) => {
      const code = query.replace(/\/\/.*|'[^'\n]*'|"[^"\n]*"/g, '')
      const tables = code.match(/\b(?:App|Storage)[A-Z]\w+/g) ?? []
      const columns = tables.flatMap((table) => columnsOf[table] ?? [])
      const names = [...code.matchAll(/(?<![.\w])[A-Z]\w+/g)].map(([name]) => name)
      const fields = [...code.matchAll(/\b(?:Properties|Measurements|line)\.(\w+)/g)].map(([, field]) => field!)
      return [
        ...(tables.length === 0 ? [query] : []),
        ...names.filter((name) => !(name in columnsOf) && !columns.includes(name)),
        ...fields.filter((field) => !new RegExp(`\\b${field}\\b`).test(events)),
      ]
    })

    expect(queries.length).toBeGreaterThan(5)
    expect(unknown).toEqual([])
  })

  it('names a test that exists for each clause of a specification', () => {
    const tables = read('docs/specifications.md')
      .split('\n\n')
      .filter((block) => /^\|.*\| Test +\|$/m.test(block))
    const rows = tables.flatMap((table) => table.split('\n').slice(2))
    const tests = rows.flatMap((row) =>
      [
        ...row
          .split('|')
          .at(-2)!
          .matchAll(/`([^`]+)`/g),
      ].map(([, name]) => name!),
    )
    const places = (name: string) => [`test/${name}.test.ts`, `test/unit/provider/${name}.test.ts`, `test/${name}`]

    expect(tests.length).toBeGreaterThan(80)
    expect(tests.filter((name) => !places(name).some((file) => existsSync(path.join(root, file))))).toEqual([])
  })

  it('names only settings that exist', () => {
    const settings = Object.values(declarations).map(({ name }) => name)
    const named = pages
      .filter((page) => page !== 'docs/settings.md')
      .flatMap((page) => [...read(page).matchAll(/`((?:Broker|AzureAd)__\w+)`/g)].map(([, name]) => name!))

    expect(named.filter((name) => !settings.includes(name))).toEqual([])
  })
})

/** Columns of Azure Monitor's tables, as its reference lists them, as far as the queries use them. */
const common = ['TimeGenerated', 'Type', 'OperationId', 'Properties']
const call = [...common, 'Name', 'Success', 'ResultCode', 'DurationMs', 'Measurements']
const storage =
  'AccountName OperationName StatusText ObjectKey RequesterObjectId RequesterUpn CallerIpAddress UserAgentHeader'
const columnsOf: Readonly<Record<string, readonly string[]>> = {
  AppRequests: call,
  AppDependencies: [...call, 'Target'],
  AppEvents: [...common, 'Name', 'Measurements'],
  AppTraces: [...common, 'Message'],
  AppExceptions: [...common, 'OuterMessage'],
  AppMetrics: [...common, 'Name', 'Sum'],
  StorageTableLogs: ['TimeGenerated', ...storage.split(' ')],
  StorageBlobLogs: ['TimeGenerated', ...storage.split(' ')],
}

function leadsSomewhere(page: string, target: string): boolean {
  const [file = '', heading] = target.split('#')
  const full = file === '' ? path.join(root, page) : path.join(root, path.dirname(page), file)
  if (!existsSync(full)) return false
  if (heading === undefined) return true
  const headings = [...readFileSync(full, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, text]) => text!)
  return headings.some(
    (text) =>
      text
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-') === heading,
  )
}
