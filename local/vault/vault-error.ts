/** Refusals, in Key Vault's JSON. */
export class VaultError extends Error {
  readonly status: number
  readonly code: string
  readonly innerCode: string | undefined

  constructor(status: number, code: string, message: string, innerCode?: string) {
    super(message)
    this.status = status
    this.code = code
    this.innerCode = innerCode
  }

  toJSON(): object {
    const { code, message, innerCode } = this
    return { error: { code, message, ...(innerCode === undefined ? {} : { innererror: { code: innerCode } }) } }
  }
}

export const badParameter = (message: string) => new VaultError(400, 'BadParameter', message)

/** The body of a fault: 429, and the errors of a broken service. */
export function errorOfStatus(status: number): object {
  const code =
    status === 429 ? 'Throttled' : status === 403 ? 'Forbidden' : status < 500 ? 'BadParameter' : 'InternalServerError'
  return new VaultError(status, code, 'A fault on request.')
}
