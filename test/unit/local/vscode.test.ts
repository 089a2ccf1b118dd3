/** F5: the programs that the editor's files name exist, and print the lines that the files wait for. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeBuild } from '../../../tools/build.ts'

const root = path.join(import.meta.dirname, '../../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')

interface Task {
  readonly type: string
  readonly label: string
  readonly command?: string
  readonly script?: string
  readonly dependsOn?: readonly string[]
  readonly problemMatcher?: string | { readonly background?: { readonly endsPattern: string } }
}

const { tasks } = JSON.parse(read('.vscode/tasks.json')) as { tasks: readonly Task[] }
const { configurations } = JSON.parse(read('.vscode/launch.json')) as {
  configurations: readonly Readonly<Record<string, unknown>>[]
}
const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> }

describe('the editor', () => {
  it('starts programs that exist, by the Node of the project', () => {
    const files = configurations
      .flatMap(({ program, runtimeExecutable }) => [program, runtimeExecutable])
      .filter((file) => typeof file === 'string')
      .map((file) => path.join(root, file.replace(`\${workspaceFolder}/`, '')))

    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((file) => !existsSync(file))).toEqual([])
  })

  it('runs tasks that exist, by scripts that exist', () => {
    const labels = tasks.map(({ label }) => label)
    const wanted = [
      ...tasks.flatMap(({ dependsOn = [] }) => dependsOn),
      ...configurations.map(({ preLaunchTask }) => preLaunchTask).filter((label) => typeof label === 'string'),
    ]
    const names = tasks.flatMap(({ script, command = '' }) => script ?? /npm run ([\w:]+)/.exec(command)?.[1] ?? [])

    expect(wanted.filter((label) => !labels.includes(label))).toEqual([])
    expect(names.length).toBeGreaterThan(3)
    expect(names.filter((name) => scripts[name] === undefined)).toEqual([])
  })

  it('detects when the build and the local parts are ready', () => {
    const endOf = (label: string) => {
      const matcher = tasks.find((task) => task.label === label)?.problemMatcher
      return new RegExp((typeof matcher === 'object' && matcher.background?.endsPattern) || '(?!)')
    }
    const built = describeBuild({ outdir: path.join(root, 'dist'), entryBytes: 1, totalBytes: 2 } as never)

    expect(built).toMatch(endOf('watch the build'))
    expect('{"broker":null}').toMatch(endOf('local parts'))
    expect('Port 7172 for the vault is in use. End the program').toMatch(endOf('local parts'))
  })

  it('has source maps for both hosts', () => {
    expect(configurations.map(({ sourceMaps }) => sourceMaps)).toEqual([true, true])
  })
})
