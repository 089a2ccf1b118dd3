import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readAzdEnvironment } from '../../../infra/hooks/azd.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'broker azd '))
  vi.stubEnv('PATH', folder)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

async function installAzd(script: string) {
  await writeFile(path.join(folder, 'azd'), `#!/bin/sh\n${script}\n`)
  await chmod(path.join(folder, 'azd'), 0o755)
}

describe('the environment of azd', () => {
  it('is read in the folder of the project, for the environment that azd has chosen', async () => {
    await installAzd(
      `echo "{\\"FOLDER\\": \\"$PWD\\", \\"ARGUMENTS\\": \\"$*\\", \\"AZURE_ENV_NAME\\": \\"shop-test\\", \\"EMPTY\\": \\"\\"}"`,
    )

    const environment = await readAzdEnvironment({ AZURE_ENV_NAME: 'shop-test', EMPTY: 'of the machine' }, folder)

    expect(environment.get('FOLDER')).toBe(folder)
    expect(environment.get('ARGUMENTS')).toBe('env get-values --output json --environment shop-test --no-prompt')
    expect(environment.get('EMPTY')).toBe('of the machine')
  })

  it('without azd names the missing program', async () => {
    await expect(readAzdEnvironment({}, folder)).rejects.toThrow('azd is not installed, or not on the PATH')
  })

  it('that azd cannot read is answered with the reason of azd', async () => {
    await installAzd(`echo "ERROR: no project exists; to create a new project, run 'azd init'" >&2; exit 1`)

    await expect(readAzdEnvironment({}, folder)).rejects.toThrow(
      "azd env get-values failed. Is there an environment (azd env new shop-dev)? ERROR: no project exists; to create a new project, run 'azd init'",
    )
  })
})
