/** The text of a configuration file as JSON. Mistakes of editors and merges have their own messages. */
import type { Refusal } from '../../shared/settings/settings-error.ts'

/**
 * @param text of the file; untrusted
 * @returns the value, or the refusal of a text that is no JSON or in which JSON.parse would lose a member
 */
export function parseConfigurationText(text: string): { readonly value: unknown } | Refusal {
  const content = text.replace(/^\uFEFF/, '')
  if (content.trim() === '') return { problem: 'is empty', fix: 'Write {}, or delete the file.' }
  // Read as UTF-8, every second character of UTF-16 is NUL.
  if (content.includes('\0')) {
    return {
      problem: 'is not UTF-8',
      fix: 'Save it as UTF-8. Windows PowerShell 5.1 writes UTF-16 for > and Out-File: use Set-Content -Encoding utf8.',
    }
  }
  const conflict = /^(<{7}|={7}|>{7})/m.exec(content)
  if (conflict) {
    const line = lineOf(content, conflict.index)
    return { problem: `has the marks of a merge conflict (line ${line})`, fix: 'Resolve the conflict.' }
  }
  try {
    const value: unknown = JSON.parse(content)
    const repeated = findRepeatedMember(content)
    if (repeated === undefined) return { value }
    return { problem: `has a member twice (line ${repeated})`, fix: 'Join the two: only the last one would count.' }
  } catch (error) {
    // The message of the parser quotes the text; only its position is used.
    const position = /at position (\d+)/.exec(String(error))?.[1]
    const line = position === undefined ? '' : ` (line ${lineOf(content, Number(position))})`
    return {
      problem: `is not JSON${line}`,
      fix: 'Write one JSON object: names and texts in double quotes, no comments, no comma behind the last member.',
    }
  }
}

/** @param json valid JSON. @returns the line of the first member whose object has another one of its name */
function findRepeatedMember(json: string): number | undefined {
  const open: Set<string>[] = []
  for (const { 0: token, 1: name, index } of json.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (name !== undefined) {
      const members = open.at(-1)
      if (members?.has(name)) return lineOf(json, index)
      members?.add(name)
    }
  }
  return undefined
}

function lineOf(text: string, position: number): number {
  return text.slice(0, position).split('\n').length
}
