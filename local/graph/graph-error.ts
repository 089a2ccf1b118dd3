/** Refusals in the JSON form of Microsoft Graph. */
export class GraphError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }

  body(): object {
    return { error: { code: this.code, message: this.message } }
  }
}
