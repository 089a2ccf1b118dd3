import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, copyFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { root, runBicep, skipsWithoutBicep, startBicep } from '../setup/bicep.ts'

const infra = path.join(root, 'infra')
const sources = [
  'main.bicep',
  'broker.bicep',
  ...readdirSync(path.join(infra, 'modules')).map((file) => `modules/${file}`),
]
const configuration = JSON.parse(readFileSync(path.join(infra, 'bicepconfig.json'), 'utf8')) as {
  analyzers: { core: { enabled: boolean; rules: Record<string, { level: string }> } }
}

describe.skipIf(skipsWithoutBicep)('the templates', () => {
  it('build without a word from the compiler, the group by itself too', () => {
    for (const file of ['main.bicep', 'broker.bicep']) {
      const { status, stderr } = runBicep(['build', path.join(infra, file), '--stdout'])

      expect({ file, status, stderr }).toEqual({ file, status: 0, stderr: '' })
    }
    // Two compilers from scratch: on a busy machine that takes longer than any other test.
  }, 120_000)

  it('pass the linter, with every rule an error', () => {
    const { status, stdout, stderr } = runBicep(['lint', '--pattern', `${infra}/**/*.bicep`])

    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(Object.values(configuration.analyzers.core.rules).map(({ level }) => level)).toEqual(
      Object.keys(configuration.analyzers.core.rules).map(() => 'error'),
    )
  })

  it('are formatted', async () => {
    const bicep = startBicep()
    try {
      for (const file of [...sources, 'main.bicepparam'].map((name) => path.join(infra, name))) {
        expect(await bicep.format(file), file).toBe(readFileSync(file, 'utf8'))
      }
    } finally {
      bicep.close()
    }
  })

  // A misspelt rule name is accepted in silence: only a template that breaks the rule shows that it is on.
  it('are looked at by rules that are spelt as the linter spells them', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'broker-lint-'))
    try {
      copyFileSync(path.join(infra, 'bicepconfig.json'), path.join(folder, 'bicepconfig.json'))
      writeFileSync(path.join(folder, 'bad.bicep'), badTemplate)

      const { status, stderr } = runBicep(['lint', path.join(folder, 'bad.bicep')])

      const seen = [...new Set([...stderr.matchAll(/Error ([a-z-]+):/g)].map(([, rule]) => rule))].sort()
      expect(status).toBe(1)
      expect(seen).toEqual(brokenRules)
      for (const rule of seen) expect(Object.keys(configuration.analyzers.core.rules)).toContain(rule)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('the sources of the templates', () => {
  const lines = sources.flatMap((file) =>
    readFileSync(path.join(infra, file), 'utf8')
      .split('\n')
      .map((text, index, all) => ({ place: `${file}:${index + 1}`, text, before: all[index - 1] ?? '' })),
  )

  it('say why at each rule that is switched off', () => {
    const disabled = lines.filter(({ text }) => text.includes('#disable'))

    expect(disabled.map(({ text }) => text.trim())).toHaveLength(2)
    for (const { place, before } of disabled) expect(before, place).toMatch(/^\s*\/\/ .{20}/)
  })

  it('describe every parameter and output, and give every parameter of the two templates a default', () => {
    for (const { place, text } of lines.filter((line) => /^(param|output) /.test(line.text))) {
      const [file = '', line = ''] = place.split(':')
      const above = readFileSync(path.join(infra, file), 'utf8')
        .split('\n')
        .slice(0, Number(line) - 1)
      const decorators = above.slice(above.lastIndexOf('') + 1)
      expect(
        decorators.some((decorator) => decorator.startsWith('@description(')),
        place,
      ).toBe(true)
      expect(text, place).not.toMatch(/ (object|array)( |$)/)
      if (text.startsWith('param') && !file.startsWith('modules/')) expect(text, place).toMatch(/ = /)
      if (text.startsWith('param') && / (int|string\[\])( |$)/.test(text) && !file.startsWith('modules/'))
        expect(decorators.join(' '), place).toMatch(/@(max|min)/)
    }
  })

  it('pass each parameter of the whole on to the group under the same name, with the same limits', () => {
    const parametersOf = (file: string) =>
      readFileSync(path.join(infra, file), 'utf8')
        .split('\n\n')
        .filter((block) => /^param /m.test(block))
        .map((block) => block.replace(/ = (deployment|resourceGroup)\(\)\.location/, ' = here'))

    const whole = parametersOf('main.bicep').filter((block) => !block.includes('param resourceGroupName'))

    expect(whole).toEqual(parametersOf('broker.bicep'))
  })

  it('use plain resources and local modules only, and no compiled template is kept', () => {
    const modules = lines.filter(({ text }) => text.startsWith('module '))
    expect(modules.length).toBeGreaterThan(5)
    for (const { place, text } of modules) expect(text, place).toMatch(/^module \w+ '[a-z/-]+\.bicep' = /)

    const kept = execFileSync('git', ['ls-files', 'infra'], { cwd: root, encoding: 'utf8' }).trim().split('\n')
    expect(kept.filter((file) => file.endsWith('.json'))).toEqual(['infra/bicepconfig.json'])
  })
})

const brokenRules = [
  'no-hardcoded-env-urls',
  'no-hardcoded-location',
  'no-loc-expr-outside-params',
  'no-unnecessary-dependson',
  'no-unused-existing-resources',
  'no-unused-params',
  'no-unused-vars',
  'outputs-should-not-contain-secrets',
  'prefer-interpolation',
  'prefer-unquoted-property-names',
  'secure-parameter-default',
  'secure-secrets-in-params',
  'simplify-interpolation',
  'simplify-json-null',
  'use-parent-property',
  'use-recent-api-versions',
  'use-resource-id-functions',
  'use-resource-symbol-reference',
  'use-safe-access',
  'use-user-defined-types',
]

const badTemplate = `
param unused string
param adminPassword string
@secure()
param other string = 'abc'
param bag object
var notUsed = 'a'
var nothing = json('null')
var address = 'https://management.azure.com/'
var joined = concat('a', bag.name)
var simple = '\${joined}'
var quoted = { 'a': bag.?b ?? 'c' }
var safe = contains(bag, 'x') ? bag.x : 'y'
resource nobody 'Microsoft.Storage/storageAccounts@2026-09-01' existing = { name: 'nobody' }
resource account 'Microsoft.Storage/storageAccounts@2021-01-01' = {
  name: joined
  location: 'westeurope'
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
}
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-09-01' = {
  name: '\${account.name}/default'
  dependsOn: [account]
}
resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: 'site'
  location: resourceGroup().location
  properties: { serverFarmId: '/subscriptions/a/b' }
}
output key string = account.listKeys().keys[0].value
output id string = reference(account.id).x
`
