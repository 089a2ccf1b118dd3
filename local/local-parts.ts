/** The local parts and the settings for a broker that `npm start` does not start. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'

import { requestEach } from './answering.ts'
import { LocalError } from './http-server.ts'
import { withLocalDefaults } from './local-defaults.ts'
import { fixedPorts } from './ports.ts'
import { findSettingsFile } from './settings-file.ts'

const root = path.join(import.meta.dirname, '..')

/** For NODE_EXTRA_CA_CERTS: the local certificate authority, and the further authorities that this machine trusts. */
export const caFile = path.join(root, '.local/ca.pem')

/**
 * Starts `npm run local` when no program listens on the vault's port.
 *
 * @returns a function that ends those parts; parts that ran before stay
 * @throws {LocalError} when they do not start, with their own error on standard error; when another clone has the port
 */
export async function ensureLocalParts(): Promise<{ close(): Promise<void> }> {
  // `npm run local` or `npm start` is running.
  if (await isListening(fixedPorts.vault)) {
    await checkVault(`https://localhost:${fixedPorts.vault}/`, await readFile(caFile, 'utf8').catch(() => ''))
    return { close: () => Promise.resolve() }
  }

  const child = spawn(process.execPath, [path.join(root, 'local/start.js'), '--without-broker', '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const leave = () => {
    child.kill('SIGTERM')
    process.exit(130)
  }
  process.once('SIGINT', leave).once('SIGTERM', leave)
  const ready = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)])
  process.off('SIGINT', leave).off('SIGTERM', leave)
  // Their own error is on standard error, which they inherit.
  if (!ready) throw new LocalError('The local parts did not start.', child.exitCode ?? 1)
  return {
    close: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
    },
  }
}

/**
 * @param ca certificate of this clone's authority, PEM; empty where it has none
 * @throws {LocalError} where the vault belongs to another clone: a broker of this one would trust no part
 */
export async function checkVault(url: string, ca: string): Promise<void> {
  await requestEach([{ name: 'Key Vault', url }], ca).catch(() => {
    throw new LocalError(
      `Port ${new URL(url).port} for the Key Vault is in use by another program, perhaps npm start in another clone. End it, and repeat the command.`,
    )
  })
}

/**
 * Environment of a broker's process: the environment wins over local.settings.json, which wins over the defaults. The
 * file of certificate authorities wins over all: a machine behind a company's proxy names a file without the local one.
 */
export async function brokerEnvironment(): Promise<Record<string, string | undefined>> {
  const file = await findSettingsFile(path.join(root, 'local.settings.json'))
  return {
    ...withLocalDefaults({ ...file, ...process.env }),
    NODE_EXTRA_CA_CERTS: caFile,
  }
}

/** True where a program accepts connections on this port of the loopback. */
export async function isListening(port: number): Promise<boolean> {
  const socket = net.connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
