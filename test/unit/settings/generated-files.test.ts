import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findDrift, generatedFiles } from '../../../tools/generate.ts'
import { allDeclarations } from '../../../shared/settings/declarations.ts'
import { parseSettings } from '../../../shared/settings/settings.ts'

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')

describe('the generated files', () => {
  it('agree with the code (if not: npm run generate)', async () => {
    expect(await findDrift()).toEqual([])
  })

  it('are reported when they differ, or are missing', async () => {
    const [file] = generatedFiles
    const changed = { path: file!.path, content: () => `${file!.content()} `.replace('7071', '7070') }
    const absent = { path: 'docs/not-there.json', content: () => '{}' }

    expect(await findDrift([file!, changed, absent])).toEqual([changed.path, absent.path])
  })

  it('hold an example that works when copied', () => {
    const example = JSON.parse(read('local.settings.example.json')) as {
      IsEncrypted: boolean
      Values: Record<string, string>
      Host: { LocalHttpPort: number }
    }

    expect(example.IsEncrypted).toBe(false)
    const local = allDeclarations.filter((declaration) => declaration.local !== undefined)
    expect(Object.keys(example.Values)).toEqual(local.map(({ name }) => name))
    expect(parseSettings(example.Values).baseUrl).toBe(`http://localhost:${example.Host.LocalHttpPort}`)
  })

  it('hold a page that names every setting with its default and its bounds', () => {
    const page = read('docs/settings.md')

    for (const { name, sentence, bounds, default: preset } of allDeclarations) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``))
      expect(row).toContain(sentence)
      expect(row).toContain(bounds)
      if (preset !== undefined) expect(row).toContain(`\`${preset}\``)
    }
  })

  const forMany = [
    'Broker__Tenants',
    'Broker__HomeTenantId',
    'Broker__AllowPersonalAccounts',
    'Broker__SignUpRole',
    'Broker__Invitations',
  ]
  it.each<[string, string, Readonly<Record<string, string | undefined>>]>([
    ['Entra ID', 'Entra ID', Object.fromEntries(forMany.map((name) => [name, undefined]))],
    ['Entra ID for many tenants', 'Entra ID', { AzureAd__TenantId: 'common', Broker__Tenants: 'signed-up' }],
    ['other providers', 'other providers', {}],
  ])('are made from examples that the settings accept, with %s', (_, provider, changes) => {
    const examples = Object.fromEntries(
      allDeclarations
        .filter(({ about = provider }) => about === provider)
        .flatMap(({ name, example }) => (example === undefined ? [] : [[name, example]])),
    )
    const environment = { ...examples, ...changes }

    expect(() => parseSettings(environment)).not.toThrow()
  })
})
