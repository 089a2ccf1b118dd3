import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { configurationSchema } from '../../infra/hooks/configuration.schema.ts'
import { root } from '../setup/bicep.ts'
import type { Snapshot } from '../setup/bicep.ts'
import { propertiesOf, resources } from './rules/predicted-resources.ts'

const page = readFileSync(path.join(root, 'docs/deploy.md'), 'utf8')
const read = (...parts: string[]) => readFileSync(path.join(root, ...parts), 'utf8')
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )

describe('docs/deploy.md', () => {
  it('names every parameter with the place of its value', () => {
    const parameters = [...read('infra/main.bicep').matchAll(/^param (\w+) /gm)].map(([, name = '']) => name)
    const members = Object.keys(configurationSchema.def.shape)
    const places: Readonly<Record<string, string>> = {
      environmentName: 'azd: `AZURE_ENV_NAME`',
      location: 'azd: `AZURE_LOCATION`',
      brokerSettings: '`settings`',
      extraTags: '`tags`',
    }

    for (const name of parameters) {
      const row = rows.find(([first]) => first === `\`${name}\``)
      expect(row, name).toBeDefined()
      expect(row![1], name).toBe(places[name] ?? (members.includes(name) ? `\`${name}\`` : 'the hooks'))
      expect(row![3]!.length, name).toBeGreaterThan(10)
    }
    // And a member without a parameter would have no effect.
    const without = members.filter((name) => !parameters.includes(name))
    expect(without).toEqual(['$schema', 'registration', 'appRoles', 'providers', 'settings', 'tags'])
  })

  it('explains every variable that a person sets for the hooks', () => {
    const files = readdirSync(path.join(root, 'infra/hooks')).filter((name) => name !== 'moved-variables.ts')
    const variables = files.flatMap(
      (file) => read('infra/hooks', file).match(/(?<=['"\s])BROKER_[A-Z_]+(?=['"\s])/g) ?? [],
    )
    // Outputs of the template, values that the hooks store themselves, and those of the tests.
    const outputs = [...read('infra/main.bicep').matchAll(/^output (\w+) /gm)].map(([, name]) => name)
    const own = /^BROKER_(HOST_IDENTITY_PRINCIPAL_ID|PARAMETERS|CODE_DEPLOYED|LOCAL_ARM|LOCAL_GRAPH|DNS_SERVER)$/
    const isOwn = (name: string) => own.test(name) || outputs.includes(name)

    const missing = [...new Set(variables)].filter((name) => !isOwn(name) && !page.includes(`\`${name}\``))

    expect(missing).toEqual([])
  })

  it('explains in its second paragraph the effect of the default host name on front ends', () => {
    const [, , second] = page.split('\n\n')

    expect(second).toMatch(/default host name/)
    expect(second).toMatch(/public suffix/)
  })

  it('makes only true statements about the rules of the checkers', () => {
    const snapshot = JSON.parse(read('test/infra/snapshots/default-second.snapshot.json')) as Snapshot
    const checked = rows.filter(([rule = '']) => /Azure\.\w+\.|CKV/.test(rule))
    expect(checked.length).toBeGreaterThan(20)

    for (const [rule, verdict, how = ''] of checked) {
      if (verdict === 'not') {
        expect(how.length, rule).toBeGreaterThan(20)
        continue
      }
      expect(verdict, rule).toBe('met')
      const [type = '', property = '', value] = [...how.matchAll(/`([^`]+)`/g)].map(([, text]) => text)
      const found = resources(snapshot, type).filter(
        // Azure.KeyVault.Logs is about the vault; other resources have logs of other categories.
        ({ id }) => !type.endsWith('/diagnosticSettings') || id.includes('/vaults/'),
      )
      expect(found.length, type).toBeGreaterThan(0)
      for (const resource of found) {
        const is = property
          .split('.')
          .reduce<unknown>((inner, member) => (inner as Record<string, unknown>)[member], propertiesOf(resource))
        expect(String(is), `${rule!}: ${property}`).toBe(value)
      }
    }
  })

  it('lists every alert with its severity', () => {
    const snapshot = JSON.parse(read('test/infra/snapshots/default-second.snapshot.json')) as Snapshot
    const rules = ['metricAlerts', 'scheduledQueryRules'].flatMap((type) =>
      resources(snapshot, `Microsoft.Insights/${type}`).map((alert) => {
        const { displayName = alert.name, severity } = propertiesOf(alert)
        return `\`${String(displayName).replace(/-k7m2p4q6r8s3t/, '-…')}\` ${String(severity)}`
      }),
    )
    const fromVault = resources(snapshot, 'Microsoft.EventGrid/systemTopics/eventSubscriptions').flatMap((alert) => {
      const { properties } = propertiesOf(alert)['destination'] as { properties: { severity?: string } }
      const name = alert.name.split('/').at(-1) ?? ''
      return properties.severity ? [`\`${name}\` ${properties.severity.replace('Sev', '')}`] : []
    })
    const section = page.split('## Alerts')[1]!.split('\n## ')[0]!

    const listed = rows
      .filter(([name = '', severity = '']) => section.includes(`| ${name} `) && /^\d$/.test(severity))
      .map(([name, severity]) => `${name!} ${severity!}`)

    expect(rules).toHaveLength(7)
    expect([...listed].sort()).toEqual([...rules, ...fromVault].sort())
  })

  it('counts the executions of web test and timers as they are scheduled, each for at least a second', () => {
    const snapshot = JSON.parse(read('test/infra/snapshots/default-second.snapshot.json')) as Snapshot
    const [webTest] = resources(snapshot, 'Microsoft.Insights/webtests')
    const { Frequency, Locations } = propertiesOf(webTest) as { Frequency: number; Locations: unknown[] }
    const schedules = [...read('functions/index.ts').matchAll(/app\.timer\('\w+', \{\s+schedule: '([^']+)'/g)].map(
      ([, schedule]) => schedule!,
    )
    const runsAnHour = schedules.map((schedule) => {
      const [, minutes = ''] = schedule.split(' ')
      const [, every] = /^\*\/(\d+)$/.exec(minutes) ?? []
      return every === undefined ? minutes.split(',').length : 60 / Number(every)
    })
    const hours = 730
    const executions = hours * ((3600 / Frequency) * Locations.length + runsAnHour.reduce((sum, runs) => sum + runs, 0))
    const { maximumInstanceCount, instanceMemoryMB } = scaleOf(snapshot)
    const words = (value: number) => value.toLocaleString('en-US')
    const section = page.split('## What it costs')[1]!.split('\n## ')[0]!

    expect(schedules).toHaveLength(2)
    expect(section).toContain(`${words(executions)} executions`)
    expect(section).toContain(`${words((executions * instanceMemoryMB) / 1024)} GB-s`)
    expect(section).toContain(`${words((maximumInstanceCount * 3600 * instanceMemoryMB) / 1024)} GB-s`)
  })

  it('lists as least privilege the roles that the template assigns', () => {
    const vault = read('infra/modules/vault.bicep')
    const granted = /var brokerPermissions = \{([\s\S]*?)\n\}/.exec(vault)?.[1]?.match(/(?<=')\w+(?=')/g) ?? []
    const section = page.split('## Least privilege')[1]!.split('\n## ')[0]!

    for (const permission of granted) expect(section).toContain(`\`${permission}\``)
  })

  it('links to headings that are there, in this page and from others', () => {
    const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    )
    const others = ['operations', 'certificate', 'architecture', 'providers', 'security'].map((name) =>
      read('docs', `${name}.md`),
    )
    const links = [
      ...page.matchAll(/\]\(#([^)]+)\)/g),
      ...others.flatMap((text) => [...text.matchAll(/\]\(deploy\.md#([^)]+)\)/g)]),
    ].map(([, anchor]) => anchor)

    expect(links.length).toBeGreaterThan(8)
    expect(links.filter((anchor) => !headings.includes(anchor ?? ''))).toEqual([])
  })

  it('has no link without a target', () => {
    for (const [, target] of page.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      expect(existsSync(path.join(root, 'docs', target!)), target).toBe(true)
    }
  })
})

function scaleOf(snapshot: Snapshot) {
  const [site] = resources(snapshot, 'Microsoft.Web/sites')
  const { functionAppConfig } = propertiesOf(site) as {
    functionAppConfig: { scaleAndConcurrency: { maximumInstanceCount: number; instanceMemoryMB: number } }
  }
  return functionAppConfig.scaleAndConcurrency
}
