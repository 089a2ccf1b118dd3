/** A clone without packages, or with the wrong ones: the commands of package.json install them once and continue. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = path.join(import.meta.dirname, '../../..')
const packages = {
  node: { version: '24.0.0', dev: true },
  zod: { version: '4.0.0', integrity: 'sha512-zod' },
  express: { version: '5.0.0', dev: true },
  'failed-download': { version: '1.0.0', optional: true, os: [process.platform] },
  'other-platform': { version: '1.0.0', optional: true, os: [process.platform], cpu: ['other'] },
}
const native = { version: '1.0.0', optional: true, os: ['other', process.platform], cpu: [process.arch] }
type Name = keyof typeof packages
const all = ['node', 'zod', 'express'] as const

let folder: string
beforeEach(async () => {
  // macOS has a link in the path of its temporary folder.
  folder = await mkdtemp(path.join(await realpath(os.tmpdir()), 'broker-bootstrap-'))
  for (const name of ['local', 'tools', 'bin']) await mkdir(path.join(folder, name))
  for (const file of ['local/start.js', 'tools/bootstrap.js', 'tools/run.js']) {
    await cp(path.join(root, file), path.join(folder, file))
  }
  await write('package.json', JSON.stringify({ type: 'module' }))
  await write('local/run.ts', `export const run = (args: string[]) => console.log('it runs', args.join(' '))`)
  await writeLock(packages)
  await write('bin/npm', npm)
  await chmod(path.join(folder, 'bin/npm'), 0o755)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Installs what the lock file names, of optional packages only native ones; a file `npm-fails` makes it fail. */
const npm = `#!/usr/bin/env node
import fs from 'node:fs'
fs.appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n')
if (fs.existsSync('npm-hangs')) setInterval(() => console.error('npm hangs'), 100)
else if (fs.existsSync('npm-fails')) { console.error('npm error: no network'); process.exit(7) }
else setTimeout(() => {
  const { packages } = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'))
  fs.rmSync('node_modules', { recursive: true, force: true })
  for (const [folder, one] of Object.entries(packages)) {
    if (folder === '' || (one.optional && !one.cpu?.includes(process.arch))) { delete packages[folder]; continue }
    fs.mkdirSync(folder + '/bin', { recursive: true })
    fs.writeFileSync(folder + '/package.json', '{}')
  }
  fs.writeFileSync('node_modules/node/bin/node', '')
  fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }))
}, 300)
`

const write = (file: string, text: string) => writeFile(path.join(folder, file), text)
const entries = (of: Readonly<Record<string, object>>) =>
  Object.fromEntries(Object.entries(of).map(([name, one]) => [`node_modules/${name}`, one]))
const writeLock = (of: Readonly<Record<string, object>>) =>
  write('package-lock.json', JSON.stringify({ packages: { '': {}, ...entries(of) } }))
const npmCalls = async () =>
  (await readFile(path.join(folder, 'npm-calls'), 'utf8').catch(() => '')).split('\n').length - 1

/** @param recorded in npm's record of the installation; @param there as folders */
async function install(recorded: readonly Name[], there: readonly Name[] = recorded): Promise<void> {
  for (const name of there) {
    await mkdir(path.join(folder, 'node_modules', name, 'bin'), { recursive: true })
    await write(`node_modules/${name}/package.json`, '{}')
  }
  if (there.includes('node')) await write('node_modules/node/bin/node', '')
  const found = entries(Object.fromEntries(recorded.map((name) => [name, packages[name]])))
  await write('node_modules/.package-lock.json', JSON.stringify({ packages: found }))
}

const launch = (...command: readonly string[]) =>
  spawn(process.execPath, command.length > 0 ? command : ['local/start.js', '--port', '0'], {
    cwd: folder,
    // No npm of this machine: it would request the packages.
    env: { PATH: [path.join(folder, 'bin'), path.dirname(process.execPath)].join(path.delimiter) },
  })

async function start(...command: readonly string[]) {
  const child = launch(...command)
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}
const runs = { code: 0, stdout: 'it runs --port 0\n' }

describe('a command in a clone', () => {
  it('whose packages are those of the lock file installs no package and prints no line of its own', async () => {
    await install(all)

    expect(await start()).toEqual({ ...runs, stderr: '' })
    expect(await npmCalls()).toBe(0)
  })

  it.each([
    ['that is bare', () => Promise.resolve(), 'The packages are not installed'],
    [
      'with an installation that did not end',
      () => mkdir(path.join(folder, 'node_modules')),
      'The packages are not installed',
    ],
    ['from which a folder is gone', () => install(all, ['node', 'express']), 'Packages are missing (zod)'],
    [
      'without development dependencies',
      () => install(['zod']),
      'Development dependencies are missing (node and 1 more)',
    ],
    [
      'with a newer lock file',
      async () => {
        await install(all)
        await writeLock({ ...packages, zod: { version: '4.0.1', integrity: 'sha512-newer' } })
      },
      'The lock file has other versions of 1 packages',
    ],
    [
      'with a package of the same version and other contents',
      async () => {
        await install(all)
        await writeLock({ ...packages, zod: { version: '4.0.0', integrity: 'sha512-other' } })
      },
      'The lock file has other versions of 1 packages',
    ],
    [
      'with a Node package that has no binary',
      async () => {
        await install(all)
        await rm(path.join(folder, 'node_modules/node/bin/node'))
      },
      'The package node has no binary',
    ],
    [
      'that was installed on another platform',
      async () => {
        await install(all)
        await writeLock({ ...packages, native })
      },
      'Packages are missing (native)',
    ],
  ])('%s runs npm ci once, prints why, and continues', async (_, arrange, reason) => {
    await arrange()

    const first = await start()
    const second = await start()

    expect(first).toMatchObject(runs)
    expect(first.stderr).toContain(reason)
    expect(first.stderr).toMatch(/Running npm ci once[^]*The packages are installed, in \d+ s\.\n$/)
    expect(second).toEqual({ ...runs, stderr: '' })
    expect(await readFile(path.join(folder, 'npm-calls'), 'utf8')).toBe(
      'ci --include=dev --include=optional --loglevel=error\n',
    )
  })

  it('ends with a sentence and code 2 where npm ci fails, and tries again the next time', async () => {
    await write('npm-fails', '')
    const { code, stdout, stderr } = await start()

    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('npm error: no network')
    expect(stderr).toContain('npm ci failed with code 7; its message is above.')
    await rm(path.join(folder, 'npm-fails'))
    expect(await start()).toMatchObject(runs)
  })

  it.each([
    ['a lock file that is damaged', () => write('package-lock.json', '{}'), 'package-lock.json is missing or damaged.'],
    [
      'a folder of its state that is a file',
      async () => {
        await write('.local', '')
      },
      "EEXIST: file already exists, mkdir '",
    ],
  ])('ends with a sentence and code 2 at %s', async (_, arrange, sentence) => {
    await arrange()
    const { code, stdout, stderr } = await start()

    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^.*\n$/)
    expect(stderr).toContain(sentence)
  })

  it('runs npm ci where the record of the installation is damaged', async () => {
    await install(all)
    await write('node_modules/.package-lock.json', '{}')

    expect(await start()).toMatchObject(runs)
    expect(await npmCalls()).toBe(1)
  })

  it('waits where another command installs already', async () => {
    const answers = await Promise.all([start(), start(), start()])

    expect(answers).toMatchObject([runs, runs, runs])
    expect(await npmCalls()).toBe(1)
  })

  it('ends npm ci with itself on SIGTERM, so that no installation runs beside the next one', async () => {
    await write('npm-hangs', '')
    const child = launch()
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      if (text.includes('npm hangs')) child.kill('SIGTERM')
    })

    // Not before npm ci has ended, which holds standard error open.
    expect(await once(child, 'close')).toEqual([2, null])
    expect(stderr).toContain('npm ci failed with code 143')
  })

  it('does not wait for a command that was killed while it installed', async () => {
    const killed = spawn(process.execPath, ['-e', ''])
    await once(killed, 'close')
    await mkdir(path.join(folder, '.local'))
    await write('.local/installing.lock', `${killed.pid ?? 0} ${os.hostname()} 1`)

    expect(await start()).toMatchObject(runs)
    expect(await npmCalls()).toBe(1)
  })
})

describe('a program of package.json', () => {
  it('runs in a bare clone too, as the program that Node started', async () => {
    await write('tools/program.ts', `export {}; console.log(process.argv.slice(1).join(' '))`)

    expect(await start('tools/run.js', 'tools/program.ts', '--json')).toMatchObject({
      code: 0,
      stdout: `${path.join(folder, 'tools/program.ts')} --json\n`,
    })
    expect(await npmCalls()).toBe(1)
  })

  it('ends by its own failure with the sentence and the exit code of the project', async () => {
    await install(all)
    await write(
      'local/program-failure.ts',
      `export const reportFailure = ({ message }) => { console.error(message); return 3 }`,
    )
    await write('tools/program.ts', `throw new Error('no space')`)

    expect(await start('tools/run.js', 'tools/program.ts')).toEqual({ code: 3, stdout: '', stderr: 'no space\n' })
  })
})
