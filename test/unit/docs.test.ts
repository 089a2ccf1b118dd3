import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
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

  it('lists every way in of functions/index.ts, by name and route', () => {
    const index = read('functions/index.ts')
    const ways = [...index.matchAll(/app\.http\('(\w+)', \{\s*route: '([^']+)'/g)].map(([, name, route]) => {
      return `| \`/${route!.startsWith('{') ? '' : route!}\` | \`${name!}\` |`
    })
    const table = read('docs/architecture.md').replace(/ +/g, ' ')

    const others = [...index.matchAll(/app\.(?:timer|eventGrid|warmup)\('(\w+)'/g)].map(
      ([, name]) => `| \`${name!}\` |`,
    )

    expect(ways.length).toBeGreaterThan(8)
    expect([...ways, ...others].filter((way) => !table.includes(way))).toEqual([])
  })

  it('names settings as they are', () => {
    const settings = Object.values(declarations).map(({ name }) => name)
    const named = pages
      .filter((page) => page !== 'docs/settings.md')
      .flatMap((page) => [...read(page).matchAll(/`((?:Broker|AzureAd)__\w+)`/g)].map(([, name]) => name!))

    expect(named.filter((name) => !settings.includes(name))).toEqual([])
  })
})

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
