/**
 * Makes the commands of package.json work in a bare clone: installs the packages where they are missing or are not those
 * of the lock file, and continues under the project's Node.
 *
 * Plain JavaScript without newer syntax, so that an old Node can print a sentence that names the problem.
 */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
/**
 * Under an older Node npm leaves out vitest's native code without an error,
 * because its package does not allow that Node.
 */
const oldestForInstallation = [20, 19]
const projectNode = 24
// Read at the start: once npm has ended, the parent is another process.
const parent = process.ppid

/**
 * Calls `program` once the packages are there and this process is the project's Node. Otherwise a child process runs
 * the same command line, and this process ends as the child does.
 *
 * @param {() => Promise<unknown>} program
 */
export async function bootstrap(program) {
  try {
    if (findProblem()) await installOnce()
    if (major() !== projectNode) return await continueUnder(nodeOfProject())
  } catch (error) {
    // A system error names the file in its message, such as a folder that this user may not write.
    if (!(error instanceof Sentence) && !('syscall' in error)) throw error
    console.error(error.message)
    process.exitCode = 2
    return
  }
  await program()
}

class Sentence extends Error {}

function major() {
  return Number(process.versions.node.split('.')[0])
}

function isOlderThan([oldestMajor, oldestMinor]) {
  const [, minor] = process.versions.node.split('.').map(Number)
  return major() < oldestMajor || (major() === oldestMajor && minor < oldestMinor)
}

function nodeOfProject() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  return path.join(root, 'node_modules', 'node', 'bin', name)
}

/** @returns {object | undefined} the packages of a lock file by folder; undefined where it is none */
function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, file), 'utf8')).packages
  } catch (error) {
    return undefined
  }
}

/**
 * Compares the lock file with npm's own record of the installation, which npm writes at its end. By content and not by
 * time: a checkout sets new times.
 *
 * @returns {string | undefined} why an installation is needed
 */
function findProblem() {
  const lock = readPackages('package-lock.json')
  if (lock === undefined)
    throw new Sentence('package-lock.json is missing or damaged. Restore it: git checkout package-lock.json')
  const installed = readPackages('node_modules/.package-lock.json')
  if (installed === undefined) return 'The packages are not installed'

  const missing = []
  const missingForDevelopment = []
  let changed = 0
  for (const [folder, locked] of Object.entries(lock)) {
    if (folder === '') continue
    const found = installed[folder]
    const isThere = found !== undefined && fs.existsSync(path.join(root, folder, 'package.json'))
    // An optional package is absent on another platform, or where its download failed, as Core Tools' does offline.
    if (!isThere && (locked.optional || locked.devOptional) && !isNative(locked)) continue
    if (!isThere) (locked.dev ? missingForDevelopment : missing).push(folder.replace(/^.*node_modules\//, ''))
    else if (found.version !== locked.version || found.integrity !== locked.integrity) changed += 1
  }
  const list = ([first, ...others]) => first + (others.length > 0 ? ` and ${others.length} more` : '')
  if (missing.length > 0) return `Packages are missing (${list(missing)})`
  if (missingForDevelopment.length > 0) return `Development dependencies are missing (${list(missingForDevelopment)})`
  if (changed > 0) return `The lock file has other versions of ${changed} packages`
  if (!fs.existsSync(nodeOfProject())) return 'The package node has no binary, because its install script did not run'
  return undefined
}

/**
 * A package with the native code of this platform, as esbuild needs one. It is absent where optional packages are
 * omitted, and in a folder that was installed on another platform: a container shares it with its host.
 */
function isNative({ os: systems, cpu, libc }) {
  const isOf = (names, name) => names !== undefined && names.includes(name)
  return isOf(systems, process.platform) && isOf(cpu, process.arch) && libc === undefined
}

async function installOnce() {
  const release = await takeTurn()
  try {
    // Another command may have installed them while this one waited.
    const problem = findProblem()
    if (problem !== undefined) await install(problem)
  } finally {
    release()
  }
}

async function install(problem) {
  if (isOlderThan(oldestForInstallation)) {
    throw new Sentence(
      `${problem}, and this is Node ${process.versions.node}, which is too old to install them. Install Node 22.12 or newer, best ${projectNode}: https://nodejs.org`,
    )
  }
  console.error(`${problem}. Running npm ci once; this may need two minutes.`)
  const began = Date.now()
  const seconds = () => Math.round((Date.now() - began) / 1000)
  // On a terminal npm shows its own progress.
  const progress = setInterval(() => process.stderr.isTTY || console.error(`npm ci: ${seconds()} s`), 10000)
  // All dependencies, where NODE_ENV is production or the configuration omits some. Only errors: of an older Node, npm
  // warns once for each package that runs under the project's Node anyway.
  const code = await runNpm(['ci', '--include=dev', '--include=optional', '--loglevel=error'])
  clearInterval(progress)

  const left = code === 0 ? findProblem() : undefined
  if (code === 0 && left === undefined) {
    console.error(`The packages are installed, in ${seconds()} s.`)
    return
  }
  if (code !== 0) throw new Sentence(`npm ci failed with code ${code}; its message is above.`)
  throw new Sentence(`npm ci ended, but: ${left}.${remedyFor(left)}`)
}

function remedyFor(problem) {
  if (/install script/.test(problem)) {
    return ' npm is configured to ignore scripts; allow them for this project: npm ci --ignore-scripts=false'
  }
  // npm leaves out packages that do not allow an older Node, without an error.
  if (major() >= 22) return ''
  return ` This is Node ${process.versions.node}; with Node 22.12 or newer it may work: https://nodejs.org`
}

/** Output goes to standard error, since standard output may be read by a program. */
function runNpm(args) {
  // Under `npm start` these are the npm and the Node that started this process.
  const cli = process.env.npm_execpath
  const byCli = cli !== undefined && /npm-cli\.[cm]?js$/.test(cli)
  const options = { cwd: root, stdio: ['ignore', 2, 2], env: withoutNpmConfiguration() }
  const child = byCli
    ? spawn(process.env.npm_node_execpath || process.execPath, [cli, ...args], options)
    : spawn('npm', args, { ...options, shell: process.platform === 'win32' })
  endWithParent(child)
  return ended(child, 'npm does not start. It comes with Node, and has to be on the PATH: https://nodejs.org')
}

/** The variables that `npm start` sets for its script would override the npm configuration of this project. */
function withoutNpmConfiguration() {
  const entries = Object.entries(process.env).filter(([name]) => !/^npm_(command|lifecycle|package)_?/.test(name))
  return Object.fromEntries(entries)
}

function ended(child, sentence) {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Sentence(`${sentence} (${error.message})`)))
    child.on('close', (code, signal) => resolve(signal ? 128 + (os.constants.signals[signal] || 0) : code))
  })
}

/**
 * One installation at a time in one clone. The owner of the lock file touches it; a lock that is not touched any more
 * belongs to a process that was killed.
 *
 * @returns {Promise<() => void>} releases the lock
 */
async function takeTurn() {
  const file = path.join(root, '.local', 'installing.lock')
  fs.mkdirSync(path.dirname(file), { recursive: true })
  const mine = `${process.pid} ${os.hostname()} ${Date.now()}`
  let told = false
  for (;;) {
    try {
      fs.writeFileSync(file, mine, { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isAbandoned(file)) {
      // Renamed first: of two processes that see this, one renames it, and the other finds no file.
      const aside = `${file}.${process.pid}`
      try {
        fs.renameSync(file, aside)
        // It belongs to an owner that was quicker than this process: rename it back.
        if (!isAbandoned(aside)) fs.linkSync(aside, file)
        fs.unlinkSync(aside)
      } catch (error) {
        if (error.code !== 'ENOENT') throw error
      }
      continue
    }
    if (process.ppid !== parent) throw new Sentence('The command that started this one has ended.')
    if (!told) console.error('Another command installs the packages; waiting for it.')
    told = true
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  const touch = setInterval(() => {
    const now = new Date()
    fs.utimes(file, now, now, () => undefined)
  }, 2000)
  const release = () => {
    clearInterval(touch)
    try {
      if (fs.readFileSync(file, 'utf8') === mine) fs.unlinkSync(file)
    } catch (error) {
      // It is gone already.
    }
  }
  process.once('exit', release)
  return release
}

function isAbandoned(file) {
  try {
    const [pid, host] = fs.readFileSync(file, 'utf8').split(' ')
    if (Date.now() - fs.statSync(file).mtimeMs > 60000) return true
    return pid !== '' && host === os.hostname() && !isRunning(Number(pid))
  } catch (error) {
    return false // It is gone: the next attempt creates it.
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

async function continueUnder(node) {
  const bin = path.join(root, 'node_modules', '.bin')
  const child = spawn(node, process.argv.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH || ''}` },
  })
  // Ctrl-C reaches the child too, which ends in its own time.
  process.on('SIGINT', () => undefined)
  endWithParent(child)
  const sentence =
    'The Node that the packages bring does not start here. On Linux it needs glibc, which Alpine does not have. Elsewhere, delete node_modules and repeat the command.'
  process.exitCode = await ended(child, sentence)
}

/** A SIGTERM reaches this process alone. The end of npm, which passes its SIGTERM to its shell alone, reaches none. */
function endWithParent(child) {
  const end = () => child.kill('SIGTERM')
  process.on('SIGTERM', end)
  const watch = setInterval(() => process.ppid === parent || end(), 300).unref()
  child.on('close', () => {
    clearInterval(watch)
    process.off('SIGTERM', end)
  })
}
