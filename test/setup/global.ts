/** Once for all test files: the bundle that is deployed, the functions host that serves it, and one Azurite. */
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { startStorageEmulator } from '../../local/azurite.ts'
import { bundleFunctionsHost } from './bundle-host.ts'
import { build } from '../../tools/build.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the built bundle. */
    dist: string
    entryBytes: number
    totalBytes: number
    telemetryBytes: number
    /** The functions host as one file of JavaScript: it starts in a third of the time of its sources. */
    hostProgram: string
    /** A folder for compiled code: processes of this run that load the same modules compile them once. */
    compiledCode: string
    /** Azurite's table service, with its account. */
    tableServiceUri: string
  }
}

/**
 * Variables of a developer's shell: settings of a broker and of Azure, and those that change the requests of a process.
 * The tests set their own, and use loopback alone. The workers inherit the environment of this process.
 */
const ofTheShell = [
  /^(Broker_|AzureAd_|AZURE_|IDENTITY_|MSI_|APPLICATIONINSIGHTS_)/i,
  /^((https?|all|no)_proxy|NODE_(USE_ENV_PROXY|EXTRA_CA_CERTS|USE_SYSTEM_CA|TLS_REJECT_UNAUTHORIZED))$/i,
]

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  for (const name of Object.keys(process.env)) {
    if (ofTheShell.some((pattern) => pattern.test(name))) Reflect.deleteProperty(process.env, name)
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-test-'))
  const dist = path.join(folder, 'dist')
  const hostProgram = path.join(folder, 'host.mjs')
  const [built, tables] = await Promise.all([
    build({ outdir: dist }),
    startStorageEmulator('table', 0),
    bundleFunctionsHost(hostProgram),
  ])
  project.provide('dist', dist)
  project.provide('entryBytes', built.entryBytes)
  project.provide('totalBytes', built.totalBytes)
  project.provide('telemetryBytes', built.telemetryBytes)
  project.provide('hostProgram', hostProgram)
  project.provide('compiledCode', path.join(folder, 'compiled'))
  project.provide('tableServiceUri', tables.url)
  return async () => {
    await tables.close()
    // A process that ends meanwhile still writes its compiled code.
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}
