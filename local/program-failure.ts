/** The end of a program that failed: the sentence that a person reads, and the exit code. */
import { SettingsError } from '../shared/settings/settings-error.ts'
import { LocalError } from './http-server.ts'

/** By the code of a system error, whose message names the call and in most cases the path. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: 'Run the command as a user who may do this, or in a clone of your own.',
  EPERM: 'Run the command as a user who may do this, or in a clone of your own.',
  EROFS: 'Run the command in a folder that can be written.',
  ENOSPC: 'Free space on the disks of this folder and of the folder for temporary files.',
  EDQUOT: 'Free space on the disks of this folder and of the folder for temporary files.',
  EADDRNOTAVAIL: 'The parts listen on 127.0.0.1: enable the IPv4 loopback of this machine.',
  EEXIST: 'A file has the name of this folder: move it away.',
  EMFILE: 'Allow this process more open files: ulimit -n 1024',
  ENFILE: 'End other programs: this machine has too many open files.',
}
const noTemporaryFolder = 'Set TMPDIR (on Windows: TEMP) to a folder that is there and can be written.'

/**
 * Prints the error to standard error: its message where a person can act on it, otherwise with its stack.
 *
 * @returns the exit code: 2 for refused settings and arguments, otherwise 1
 */
export function reportFailure(error: unknown): number {
  console.error(failureText(error))
  if (error instanceof LocalError) return error.exitCode
  return error instanceof SettingsError ? 2 : 1
}

/** @returns the message, with the remedy of a system error; an unexpected error is returned as it is */
export function failureText(error: unknown): unknown {
  if (error instanceof LocalError || error instanceof SettingsError) return error.message
  if (!isSystemError(error)) return error
  const remedy = error.syscall === 'mkdtemp' ? noTemporaryFolder : remedies[error.code ?? '']
  return remedy === undefined ? error.message : `${error.message}. ${remedy}`
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
