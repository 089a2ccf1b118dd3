/** Route templates that the served fixture does not cover. */
import { describe, expect, it } from 'vitest'

import { parseRouteTemplate, splitPath } from '../../../local/functions-host/route-template.ts'

describe('a route template', () => {
  it.each([
    ['a/{id:guid}', '/a/11111111-1111-4111-8111-111111111111', '/a/1'],
    ['a/{id:length(3)}', '/a/abc', '/a/ab'],
    ['a/{id:length(1,2)}', '/a/ab', '/a/abc'],
    ['a/{id:minlength(2)}', '/a/ab', '/a/a'],
    ['a/{id:range(1,9)}', '/a/9', '/a/10'],
    ['a/{id:max(5)}', '/a/5', '/a/6'],
    ['a/{id:alpha}', '/a/Ab', '/a/a1'],
    ['a/{id:bool}', '/a/TRUE', '/a/yes'],
    ['a/{id:regex(^x-\\d{{2}}$)}', '/a/x-12', '/a/x-1'],
    ['a/{id:required}', '/a/x', '/a/'],
    ['a.b', '/A.B', '/aXb'],
    ['{ignored:maxlength(0)?}', '/', '/x'],
    ['a/{b?}', '/a', '/a//c'],
  ])('%s matches %s and not %s', (template, taken, refused) => {
    expect(parseRouteTemplate(template).match(splitPath(taken))).toBeDefined()
    expect(parseRouteTemplate(template).match(splitPath(refused))).toBeUndefined()
  })

  it('returns several parameters of one segment', () => {
    expect(parseRouteTemplate('{name}.{kind}').match(splitPath('/a.b.json'))).toEqual({ name: 'a.b', kind: 'json' })
  })

  it.each(['{a', '{}', 'a/{id}/{ID}', 'a/{id:colour}'])('is refused where it is invalid: %s', (template) => {
    expect(() => parseRouteTemplate(template)).toThrow()
  })
})
