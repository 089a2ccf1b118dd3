/** Runs a script of the project as a process, with azd's sign-in to the emulated cloud: a small azd on the PATH. */
import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { anna, startAzure } from './azure.ts'
import type { Azure } from './azure.ts'
import { root } from './bicep.ts'
import { fixedPorts } from '../../local/ports.ts'

interface Run {
  readonly code: number | null
  readonly output: string
}

export interface Deployment {
  readonly azure: Azure
  /** @param variables of the azd environment */
  node(args: readonly string[], variables?: Readonly<Record<string, string>>): Promise<Run>
  close(): Promise<void>
}

export async function startDeployment(permissions: object): Promise<Deployment> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-deployment-'))
  const azure = await startAzure({ [anna.clientId]: permissions })
  await mkdir(path.join(folder, 'tokens'))
  for (const host of ['vault.azure.net', 'graph.microsoft.com', 'management.azure.com']) {
    const { token } = await azure.issuer.issueAccessToken({ ...anna, audience: `https://${host}` })
    const answer = { token, expiresOn: new Date(Date.now() + 3_600_000).toISOString() }
    await writeFile(path.join(folder, 'tokens', host), JSON.stringify(answer))
  }
  await writeFile(path.join(folder, 'azd'), azd)
  await chmod(path.join(folder, 'azd'), 0o755)
  await writeFile(path.join(folder, 'ca.pem'), azure.authorityPem)

  return {
    azure,
    node: async (args, variables = {}) => {
      await writeFile(path.join(folder, 'values.json'), JSON.stringify({ AZURE_ENV_NAME: 'shop-test', ...variables }))
      return new Promise<Run>((resolve) => {
        const child = spawn(process.execPath, args, {
          cwd: root,
          env: {
            PATH: `${folder}${path.delimiter}/usr/bin${path.delimiter}/bin`,
            HOME: folder,
            NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
            NODE_OPTIONS: withoutLocalParts,
            NODE_EXTRA_CA_CERTS: path.join(folder, 'ca.pem'),
            AZD_STATE: folder,
            // Nothing listens there: hooks and tools must not use a proxy for loopback.
            HTTPS_PROXY: 'http://127.0.0.1:9',
            HTTP_PROXY: 'http://127.0.0.1:9',
          },
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let output = ''
        for (const stream of [child.stdout, child.stderr]) {
          stream.on('data', (chunk: Buffer) => (output += String(chunk)))
        }
        child.on('close', (code) => resolve({ code, output }))
      })
    },
    close: async () => {
      await azure.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** For a command that looks for `npm start` on this machine: a developer may have it running beside the tests. */
const withoutLocalParts = `--import=data:text/javascript,${encodeURIComponent(`
import net from 'node:net'
const { connect } = net
net.connect = (to, ...rest) => connect(to.port === ${fixedPorts.vault} ? { ...to, port: 9 } : to, ...rest)
`)}`

/** The commands of azd that hooks, tools and the Azure SDK call. */
const azd = `#!/bin/sh
case "$1 $2" in
  'auth token')
    while [ "$1" != --scope ]; do shift; done
    host="\${2#https://}"
    cat "$AZD_STATE/tokens/\${host%/.default}"
    ;;
  'env get-values')
    cat "$AZD_STATE/values.json"
    ;;
  *)
    echo "azd knows no $*" >&2
    exit 1
    ;;
esac
`
