/**
 * Route templates as ASP.NET Core reads them: literals, `{id}`, `{rest?}`, `{size=10}`, `{*path}`, inline constraints.
 */

interface Parameter {
  readonly name: string
  readonly optional: boolean
  readonly catchAll: boolean
  readonly fallback: string | undefined
  readonly accepts: ((value: string) => boolean)[]
}

type Part = string | Parameter

interface Segment {
  readonly parts: readonly Part[]
  readonly parameters: readonly Parameter[]
  /** A group for each parameter. */
  readonly pattern: RegExp
}

export interface RouteTemplate {
  readonly text: string
  /**
   * Matches a request's path without regard to case.
   *
   * @param path the result of `splitPath`
   * @returns the parameters that have a value, or `undefined` where the path does not match
   */
  match(path: readonly string[]): Record<string, string> | undefined
}

/** The segments of a path that is decoded except for `%2F`, without one trailing slash. */
export function splitPath(path: string): readonly string[] {
  const segments = path.replace(/^\//, '').replace(/\/$/, '').split('/')
  return segments.length === 1 && segments[0] === '' ? [] : segments
}

/** @throws {Error} for a template that the real host refuses when it loads the function */
export function parseRouteTemplate(text: string): RouteTemplate {
  const segments = splitOutsideBraces(text.replace(/^\/|\/$/g, ''), '/').filter((segment) => segment !== '')
  const parsed = segments.map((segment) => compileSegment(parseSegment(segment)))
  const names = parsed.flatMap(({ parameters }) => parameters.map(({ name }) => name.toLowerCase()))
  if (new Set(names).size !== names.length) throw new Error(`The route template "${text}" names a parameter twice.`)
  const takesAll = parsed.some(
    ({ parts: [only, ...more] }) => typeof only === 'object' && only.catchAll && more.length === 0,
  )
  const most = takesAll ? Infinity : parsed.length
  return { text, match: (path) => (path.length > most ? undefined : matchSegments(parsed, path)) }
}

/** Compiled once for each template: a request is matched against the routes until one fits. */
function compileSegment(parts: readonly Part[]): Segment {
  const pattern = parts.map((part) => (typeof part === 'string' ? escapeRegExp(part) : '(.+)')).join('')
  return {
    parts,
    parameters: parts.filter((part) => typeof part === 'object'),
    pattern: new RegExp(`^${pattern}$`, 'is'),
  }
}

function parseSegment(segment: string): Part[] {
  const parts: Part[] = []
  let rest = segment
  while (rest !== '') {
    const open = rest.indexOf('{')
    if (open !== 0) {
      const literal = open < 0 ? rest : rest.slice(0, open)
      if (literal.includes('}') || literal.includes('?')) throw new Error(`"${segment}" is no route segment.`)
      parts.push(literal)
      rest = rest.slice(literal.length)
      continue
    }
    const close = closingBrace(rest)
    if (close < 0) throw new Error(`A brace is not closed in the route segment "${segment}".`)
    parts.push(parseParameter(rest.slice(1, close)))
    rest = rest.slice(close + 1)
  }
  return parts
}

function parseParameter(inner: string): Parameter {
  const catchAll = inner.startsWith('*')
  let text = inner.replace(/^\*{1,2}/, '')
  const optional = text.endsWith('?')
  if (optional) text = text.slice(0, -1)
  const [declared = '', ...constraints] = splitOutsideBraces(text, ':')
  const last = constraints.pop() ?? declared
  const [bare = '', fallback] = splitOutsideBraces(last, '=')
  const name = constraints.length > 0 || declared !== last ? declared : bare
  if (!/^[\w-]+$/.test(name)) throw new Error(`"{${inner}}" is no route parameter.`)
  const accepts = [...constraints, ...(declared === last ? [] : [bare])].map(parseConstraint)
  return { name, optional, catchAll, fallback, accepts }
}

const guid = /^(\{|\()?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}(\}|\))?$/i

function parseConstraint(text: string): (value: string) => boolean {
  const [, name = text, inner = ''] = /^(\w+)\((.*)\)$/.exec(text) ?? []
  const [first = NaN, second = NaN] = inner.split(',').map(Number)
  switch (name.toLowerCase()) {
    case 'int':
    case 'long':
      return (value) => /^[+-]?\d+$/.test(value)
    case 'alpha':
      return (value) => /^[a-z]*$/i.test(value)
    case 'bool':
      return (value) => /^(true|false)$/i.test(value)
    case 'guid':
      return (value) => guid.test(value)
    case 'required':
      return (value) => value !== ''
    case 'minlength':
      return (value) => value.length >= first
    case 'maxlength':
      return (value) => value.length <= first
    case 'length':
      return (value) =>
        Number.isNaN(second) ? value.length === first : value.length >= first && value.length <= second
    case 'min':
      return (value) => Number(value) >= first
    case 'max':
      return (value) => Number(value) <= first
    case 'range':
      return (value) => Number(value) >= first && Number(value) <= second
    case 'regex': {
      const pattern = new RegExp(inner.replaceAll('{{', '{').replaceAll('}}', '}'), 'i')
      return (value) => pattern.test(value)
    }
    default:
      throw new Error(`The route constraint "${text}" is not known here.`)
  }
}

function matchSegments(template: readonly Segment[], segments: readonly string[]): Record<string, string> | undefined {
  const values: Record<string, string> = {}
  for (const [index, segment] of template.entries()) {
    const { parts } = segment
    const [only] = parts
    const parameter = parts.length === 1 && typeof only === 'object' ? only : undefined
    const value = parameter?.catchAll ? segments.slice(index).join('/') : segments[index]
    if (value === undefined || value === '') {
      if (!parameter || !mayBeAbsent(parameter)) return undefined
      if (parameter.fallback !== undefined) values[parameter.name] = parameter.fallback
      // An empty segment in the middle (`a//b`) does not count as absent.
      if (value === '' && !parameter.catchAll && index < segments.length - 1) return undefined
    } else if (!matchParts(segment, value, values)) return undefined
    if (parameter?.catchAll) return values
  }
  return segments.length > template.length ? undefined : values
}

function mayBeAbsent(parameter: Parameter): boolean {
  return parameter.optional || parameter.catchAll || parameter.fallback !== undefined
}

function matchParts({ pattern, parameters }: Segment, text: string, values: Record<string, string>): boolean {
  const found = pattern.exec(text)
  if (!found) return false
  return parameters.every((parameter, index) => {
    const value = found[index + 1] ?? ''
    values[parameter.name] = value
    return parameter.accepts.every((accepts) => accepts(value))
  })
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/**
 * `a/{b:regex(^x/y$)}` has one slash outside its braces.
 * Parentheses count too: a `:` or `=` inside a constraint is no separator.
 */
function splitOutsideBraces(text: string, separator: string): string[] {
  const pieces: string[] = []
  let depth = 0
  let begin = 0
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index)
    if (character === '{' || character === '(') depth += 1
    if (character === '}' || character === ')') depth -= 1
    if (character !== separator || depth !== 0) continue
    pieces.push(text.slice(begin, index))
    begin = index + 1
  }
  return [...pieces, text.slice(begin)]
}

function closingBrace(text: string): number {
  let depth = 0
  for (let index = 0; index < text.length; index += 1) {
    if (text.charAt(index) === '{') depth += 1
    if (text.charAt(index) === '}') depth -= 1
    if (depth === 0) return index
  }
  return -1
}
