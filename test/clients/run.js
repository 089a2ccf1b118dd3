/** `npm run test:clients`: installs the client libraries of the lock file here, and runs their tests. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { bootstrap } from '../../tools/bootstrap.js'

void bootstrap(async () => {
  const { status } = spawnSync('npm', ['ci', '--loglevel=error'], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: 'inherit',
    shell: process.platform === 'win32',
    // npm passes the configuration of the project's root to its scripts; this folder has its own.
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^npm_(command|config|lifecycle|package)_?/.test(name)),
    ),
  })
  if (status !== 0) {
    console.error('The client libraries are not installed. The message of npm ci is above.')
    process.exitCode = status ?? 1
    return
  }
  const given = process.argv.slice(2)
  process.argv = [...process.argv.slice(0, 2), 'run', ...(given.length > 0 ? given : ['test/clients'])]
  await import(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url).href)
})
