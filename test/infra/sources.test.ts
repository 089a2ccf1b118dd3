/** The sources of the templates, without the compiler. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../setup/bicep.ts'

const infra = path.join(root, 'infra')
const sources = [
  'main.bicep',
  'broker.bicep',
  ...readdirSync(path.join(infra, 'modules')).map((file) => `modules/${file}`),
]

describe('the sources of the templates', () => {
  const lines = sources.flatMap((file) =>
    readFileSync(path.join(infra, file), 'utf8')
      .split('\n')
      .map((text, index, all) => ({ place: `${file}:${index + 1}`, text, before: all[index - 1] ?? '' })),
  )

  it('state a reason at each disabled rule', () => {
    const disabled = lines.filter(({ text }) => text.includes('#disable'))

    expect(disabled.map(({ text }) => text.trim())).toHaveLength(6)
    for (const { place, before } of disabled) expect(before, place).toMatch(/^\s*\/\/ .{20}/)
  })

  it('describe every parameter and output, and set a default for every parameter of the two templates', () => {
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
      if (text.startsWith('param') && !file.startsWith('modules/')) expect(text, place).toMatch(/ = |\?$/)
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

  it('leave every linter rule a warning: an error would stop azd up with a newer compiler', () => {
    const { analyzers } = JSON.parse(readFileSync(path.join(infra, 'bicepconfig.json'), 'utf8')) as {
      analyzers: { core: { enabled: boolean; rules: Record<string, { level: string }> } }
    }

    expect(analyzers.core.enabled).toBe(true)
    expect([...new Set(Object.values(analyzers.core.rules).map(({ level }) => level))]).toEqual(['warning'])
  })

  it('mark the region for azd, which then offers a list of regions', () => {
    for (const file of ['main.bicep', 'broker.bicep']) {
      const [decorators = ''] = readFileSync(path.join(infra, file), 'utf8').split(/^param location /m)

      expect(decorators.split('\n\n').at(-1), file).toMatch(/@metadata\(\{\s+azd: \{\s+type: 'location'\s+\}\s+\}\)/)
    }
  })

  it('use plain resources and local modules only, and no compiled template is kept', () => {
    const modules = lines.filter(({ text }) => text.startsWith('module '))
    expect(modules.length).toBeGreaterThan(5)
    for (const { place, text } of modules) expect(text, place).toMatch(/^module \w+ '[a-z/-]+\.bicep' = /)

    const kept = execFileSync('git', ['ls-files', 'infra'], { cwd: root, encoding: 'utf8' }).trim().split('\n')
    expect(kept.filter((file) => file.endsWith('.json'))).toEqual(['infra/bicepconfig.json'])
  })
})
