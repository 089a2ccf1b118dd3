import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { parse } from 'yaml'
import { hooks } from '../../infra/hooks/run.ts'
import { root } from '../setup/bicep.ts'

interface Hook {
  readonly shell: string
  readonly run: string
  readonly interactive?: boolean
}
type Hooks = Record<string, { readonly posix: Hook; readonly windows: Hook }>
interface AzureYaml {
  readonly name: string
  readonly requiredVersions: { readonly azd: string }
  readonly infra: { readonly path: string; readonly module: string }
  readonly services: Record<
    string,
    { project: string; dist: string; host: string; language: string; remoteBuild: boolean; hooks: Hooks }
  >
  readonly workflows: { readonly up: { readonly steps: readonly { readonly azd: string }[] } }
  readonly hooks: Hooks
}

const azure = parse(readFileSync(path.join(root, 'azure.yaml'), 'utf8')) as AzureYaml
const scripts = (JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { scripts: object }).scripts

/** azd's own: its schema refuses others. */
const hookNames = ['provision', 'deploy', 'package', 'restore', 'build', 'up', 'down', 'publish'].flatMap((command) => [
  `pre${command}`,
  `post${command}`,
])

describe('azure.yaml', () => {
  it('has a name and hooks that azd accepts', () => {
    expect(azure.name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
    expect(hookNames).toEqual(expect.arrayContaining(Object.keys(azure.hooks)))
    expect(['outputs', ...Object.keys(azure.hooks)].sort()).toEqual(Object.keys(hooks).sort())
    expect(readFileSync(path.join(root, 'infra/hooks/start.mjs'), 'utf8')).toContain(
      `[${Object.keys(hooks)
        .map((name) => `'${name}'`)
        .join(', ')}]`,
    )
  })

  it('runs the same on Windows and on other systems, by programs that are installed', () => {
    for (const [name, { posix, windows }] of Object.entries(azure.hooks)) {
      expect([posix.shell, windows.shell], name).toEqual(['sh', 'pwsh'])
      expect(windows.run).toBe(posix.run)
      const [, file, hook] = /^node (\S+) (\S+)$/.exec(posix.run) ?? []
      expect(existsSync(path.join(root, file!)), file).toBe(true)
      expect(hook).toBe(name)
      // Without it azd shows eight lines at a time and clears them, the commands left to do among them.
      expect([posix.interactive, windows.interactive], name).toEqual([true, true])
    }
  })

  it('packages before it provisions, and provisions again when the function is there', () => {
    expect(azure.workflows.up.steps.map(({ azd }) => azd.split(' ')[0])).toEqual([
      'package',
      'provision',
      'deploy',
      'provision',
    ])
  })

  it('ships a clean production build, from a folder that is in every clone', () => {
    expect(Object.keys(azure.services)).toEqual(['broker'])
    const { hooks: serviceHooks, ...service } = azure.services['broker']!
    expect(service).toEqual({ project: '.', dist: 'dist', host: 'function', language: 'js', remoteBuild: false })
    expect(serviceHooks['prepackage']).toEqual({
      posix: { shell: 'sh', run: 'npm run clean' },
      windows: { shell: 'pwsh', run: 'npm run clean' },
    })
    // azd runs the script build of the language js after this hook.
    expect(scripts).toMatchObject({
      clean: 'node tools/run.js tools/build.ts --clean',
      build: 'node tools/run.js tools/build.ts',
    })
    expect(existsSync(path.join(root, '.funcignore'))).toBe(false)

    const files = readdirSync(inject('dist'))
    expect(files).toEqual(expect.arrayContaining(['host.json', 'package.json']))
    expect(files).not.toContain('node_modules')
    // Together with remoteBuild: false it is an error of azd's.
    expect(files).not.toContain('.funcignore')
    const { main, dependencies } = JSON.parse(readFileSync(path.join(inject('dist'), 'package.json'), 'utf8')) as {
      main: string
      dependencies?: object
    }
    expect(existsSync(path.join(inject('dist'), main))).toBe(true)
    expect(dependencies).toBeUndefined()
  })

  it('finds its template, and the tag by which azd finds the site', () => {
    const folder = path.join(root, azure.infra.path)
    expect(existsSync(path.join(folder, `${azure.infra.module}.bicep`))).toBe(true)
    expect(existsSync(path.join(folder, `${azure.infra.module}.bicepparam`))).toBe(true)
    expect(readFileSync(path.join(folder, 'modules/function-app.bicep'), 'utf8')).toContain(
      "'azd-service-name': 'broker'",
    )
  })

  it('reports a Node that is too old and an unknown hook', () => {
    const start = path.join(root, 'infra/hooks/start.mjs')
    const text = readFileSync(start, 'utf8')
    expect(text.indexOf('process.versions.node')).toBeLessThan(text.indexOf("import('./run.ts')"))

    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })`
    const said = (...args: string[]) => {
      try {
        execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe' })
        return ''
      } catch (error) {
        return (error as { stderr: string }).stderr
      }
    }
    expect(said('--import', `data:text/javascript,${encodeURIComponent(old)}`, start, 'preprovision')).toContain(
      'This is Node 20.11.0, which is too old',
    )
    expect(said(start, 'preprovide')).toContain('There is no hook preprovide')
  })
})
