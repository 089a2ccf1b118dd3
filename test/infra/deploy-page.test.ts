import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../setup/bicep.ts'
import type { Snapshot } from '../setup/bicep.ts'
import { propertiesOf, resources } from './assertions.ts'

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
  it('names every parameter with its variable and what it is for', () => {
    const parameters = [...read('infra/main.bicep').matchAll(/^param (\w+) /gm)].map(([, name]) => name)
    const values = read('infra/main.bicepparam').split(/^param /m)

    for (const name of parameters) {
      const row = rows.find(([first]) => first === `\`${name}\``)
      expect(row, name).toBeDefined()
      const written = values.find((value) => value.startsWith(`${name} =`)) ?? ''
      const variables = [...written.matchAll(/readEnvironmentVariable\(\s*'(\w+)'/g)].map(
        ([, variable]) => `\`${variable!}\``,
      )
      expect(row![1], name).toBe([...new Set(variables)].join(', '))
      expect(row![3]!.length, name).toBeGreaterThan(10)
    }
    const section = page.split('## Parameters')[1]!.split('\n## ')[0]!
    expect(
      section.match(/^\| `\w+` .*/gm)?.filter((row) => parameters.some((name) => row.includes(`| \`${name!}\` `))),
    ).toHaveLength(parameters.length)
  })

  it('explains every variable that the hooks read', () => {
    const hooks = [
      'check-variables',
      'app-registration',
      'preprovision',
      'postprovision',
      'down',
      'cloud',
      'domain',
      'names',
    ]
    const variables = hooks.flatMap(
      (hook) => read('infra/hooks', `${hook}.ts`).match(/(?<=['"])BROKER_[A-Z_]+(?=['"])/g) ?? [],
    )
    // What the template or a hook itself leaves there, and what only tests set.
    const own =
      /^BROKER_(BASE_URL|VAULT_URL|IDENTITY_PRINCIPAL_ID|HOST_IDENTITY_PRINCIPAL_ID|APP_UNIQUE_NAME|LOCAL_ARM|LOCAL_GRAPH|DNS_SERVER)$/

    const missing = [...new Set(variables)].filter((name) => !own.test(name) && !page.includes(`\`${name}`))

    expect(missing).toEqual([])
  })

  it('says in its second paragraph what the default host name means for front ends', () => {
    const [, , second] = page.split('\n\n')

    expect(second).toMatch(/default host name/)
    expect(second).toMatch(/public suffix/)
  })

  it('says of the checkers’ rules only what is so', () => {
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

    expect(rules).toHaveLength(5)
    expect([...listed].sort()).toEqual([...rules, ...fromVault].sort())
  })

  it('counts the executions of web test and timers as they are scheduled, each for at least a second', () => {
    const snapshot = JSON.parse(read('test/infra/snapshots/default-second.snapshot.json')) as Snapshot
    const [webTest] = resources(snapshot, 'Microsoft.Insights/webtests')
    const { Frequency, Locations } = propertiesOf(webTest) as { Frequency: number; Locations: unknown[] }
    const schedules = [...read('functions/index.ts').matchAll(/app\.timer\('\w+', \{ schedule: '([^']+)'/g)].map(
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

  it('lists as least privilege what the template gives', () => {
    const vault = read('infra/modules/vault.bicep')
    const granted = /var brokerPermissions = \{([\s\S]*?)\n\}/.exec(vault)?.[1]?.match(/(?<=')\w+(?=')/g) ?? []
    const section = page.split('## Least privilege')[1]!.split('\n## ')[0]!

    for (const permission of granted) expect(section).toContain(`\`${permission}\``)
  })

  it('points at nothing that is not there', () => {
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
