/** What the deployment's hooks speak to, on loopback: vault, Graph, Resource Manager, and an azd that keeps an environment. */
import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { startArm } from '../../local/arm/arm.ts'
import type { Arm } from '../../local/arm/arm.ts'
import { createCertificateAuthority } from '../../local/certificate-authority.ts'
import { createDirectory } from '../../local/graph/directory.ts'
import type { Directory } from '../../local/graph/directory.ts'
import { startGraph } from '../../local/graph/graph.ts'
import type { Graph } from '../../local/graph/graph.ts'
import { createAccessTokenIssuer } from '../../local/managed-identity/access-tokens.ts'
import { startVault } from '../../local/vault/vault.ts'
import type { Vault } from '../../local/vault/vault.ts'
import { root } from './bicep.ts'
import { bundledProgram } from './bundled-programs.ts'
import { lendKeyPairs } from './key-pairs.ts'

export const subscriptionId = 'aaaaaaaa-1111-4111-8111-111111111111'
const tenantId = '11111111-1111-4111-8111-111111111111'
/** Who deploys: azd's sign-in. */
export const deployer = {
  clientId: '66666666-6666-4666-8666-666666666666',
  principalId: '8a4c2e60-1b3d-4f5a-8c7e-9d0b1a2c3e4f',
}
/** What the template gives the deploying person in the first pass. */
export const officerPolicy = { certificates: ['get', 'list', 'create', 'update'] }
export const readerPolicy = { certificates: ['get', 'list'] }

export interface Run {
  readonly code: number | null
  readonly output: string
}

export interface Deployment {
  readonly vault: Vault
  readonly graph: Graph
  readonly directory: Directory
  readonly arm: Arm
  readonly baseUrl: string
  /** The azd environment as it is now. */
  variables(): Promise<Record<string, string>>
  set(variables: Readonly<Record<string, string>>): Promise<void>
  /** What the template's outputs would leave in the environment. */
  provisioned(): Promise<void>
  /** Runs a hook as azd does, from the bundle of this run of tests. @param onStart gets a function that kills it */
  hook(name: string, onStart?: (kill: () => void) => void, environment?: Readonly<Record<string, string>>): Promise<Run>
  /** From now on hooks run from their sources by infra/hooks/start.mjs, as azd runs them; each takes four times as long. */
  runSources(): void
  /** Runs a script of the project with azd's sign-in. */
  node(script: string, ...args: readonly string[]): Promise<Run>
  /** How many things were written, in the environment, at Graph and in the vault. */
  writes(): Promise<number>
  close(): Promise<void>
}

export async function startDeployment(environmentName = 'shop-test'): Promise<Deployment> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-deployment-'))
  const authority = await createCertificateAuthority()
  const tls = await authority.issue(['localhost'])
  const issuer = await createAccessTokenIssuer(tenantId)
  const { verifyAccessToken } = issuer
  const directory = createDirectory()
  const keyPairs = lendKeyPairs()
  const [vault, graph, arm] = await Promise.all([
    startVault({
      port: 0,
      tls,
      verifyAccessToken,
      permissions: { [deployer.clientId]: officerPolicy },
      tenantId,
      makeKeyPair: keyPairs.makeKeyPair,
    }),
    startGraph({ port: 0, tls, verifyAccessToken, routes: directory.routes }),
    startArm({ port: 0, tls, verifyAccessToken }),
  ])
  const baseUrl = 'https://func-broker-local.azurewebsites.net'

  await Promise.all(['tokens', 'values'].map((name) => mkdir(path.join(folder, name))))
  for (const host of ['vault.azure.net', 'graph.microsoft.com', 'management.azure.com']) {
    const { token } = await issuer.issueAccessToken({ ...deployer, audience: `https://${host}` })
    const answer = { token, expiresOn: new Date(Date.now() + 3_600_000).toISOString() }
    await writeFile(path.join(folder, 'tokens', host), JSON.stringify(answer))
  }
  await writeFile(path.join(folder, 'azd'), azd)
  await chmod(path.join(folder, 'azd'), 0o755)
  await writeFile(path.join(folder, 'log'), '')
  await writeFile(path.join(folder, 'ca.pem'), authority.certificatePem)

  const set = async (variables: Readonly<Record<string, string>>) => {
    for (const [name, value] of Object.entries(variables)) await writeFile(path.join(folder, 'values', name), value)
  }
  const variables = async () => {
    const names = await readdir(path.join(folder, 'values'))
    const values = await Promise.all(names.map((name) => readFile(path.join(folder, 'values', name), 'utf8')))
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
  }
  await set({
    AZURE_ENV_NAME: environmentName,
    AZURE_LOCATION: 'westeurope',
    AZURE_SUBSCRIPTION_ID: subscriptionId,
    AZURE_TENANT_ID: tenantId,
    BROKER_LOCAL_ARM: arm.url,
    BROKER_LOCAL_GRAPH: graph.url,
    BROKER_HOOK_PATIENCE_SECONDS: '20',
  })

  const run = (
    args: readonly string[],
    onStart?: (kill: () => void) => void,
    environment: Readonly<Record<string, string>> = {},
  ) =>
    new Promise<Run>((resolve) => {
      const child = spawn(process.execPath, args, {
        cwd: root,
        env: {
          PATH: `${folder}${path.delimiter}/usr/bin${path.delimiter}/bin`,
          HOME: folder,
          AZURE_ENV_NAME: environmentName,
          NODE_EXTRA_CA_CERTS: path.join(folder, 'ca.pem'),
          AZD_STATE: folder,
          AZD_NODE: process.execPath,
          // Nothing listens there: hooks and tools must not use a proxy for loopback.
          HTTPS_PROXY: 'http://127.0.0.1:9',
          HTTP_PROXY: 'http://127.0.0.1:9',
          ...environment,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)))
      child.on('close', (code) => resolve({ code, output }))
      onStart?.(() => void child.kill('SIGKILL'))
    })

  let hooksProgram = await bundledProgram('hooks')
  const isWrite = ({ method, status }: { method: string; status: number | undefined }) =>
    method !== 'GET' && status !== undefined && status < 300

  return {
    vault,
    graph,
    directory,
    arm,
    baseUrl,
    variables,
    set,
    provisioned: () =>
      set({
        AZURE_RESOURCE_GROUP: `rg-${environmentName}`,
        BROKER_BASE_URL: baseUrl,
        BROKER_VAULT_URL: vault.url,
        BROKER_CERTIFICATE_NAME: 'broker',
        BROKER_IDENTITY_PRINCIPAL_ID: '33333333-3333-4333-8333-000000000001',
      }),
    hook: (name, onStart, environment) => run([hooksProgram, name], onStart, environment),
    runSources: () => void (hooksProgram = 'infra/hooks/start.mjs'),
    node: (script, ...args) => run([script, ...args]),
    writes: async () =>
      (await readFile(path.join(folder, 'log'), 'utf8')).split('\n').length -
      1 +
      graph.requests.filter(isWrite).length +
      vault.requests.filter(isWrite).length,
    close: async () => {
      await Promise.all([vault.close(), graph.close(), arm.close()])
      keyPairs.release()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The part of azd that hooks and the Azure SDK call, in sh because it is called often; a variable is a file. */
const azd = `#!/bin/sh
case "$1 $2" in
  'auth token')
    while [ "$1" != --scope ]; do shift; done
    host="\${2#https://}"
    cat "$AZD_STATE/tokens/\${host%/.default}"
    ;;
  'env set')
    printf '%s' "$4" >"$AZD_STATE/$3.new" && mv "$AZD_STATE/$3.new" "$AZD_STATE/values/$3" && echo "$3" >>"$AZD_STATE/log"
    ;;
  'env get-values')
    exec "$AZD_NODE" -e '
      const { readdirSync, readFileSync } = require("node:fs")
      const folder = process.env.AZD_STATE + "/values"
      const entries = readdirSync(folder).map((name) => [name, readFileSync(folder + "/" + name, "utf8")])
      console.log(JSON.stringify(Object.fromEntries(entries)))'
    ;;
  *)
    echo "azd knows no $*" >&2
    exit 1
    ;;
esac
`
