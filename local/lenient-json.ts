/** JSON with comments and trailing commas, as Core Tools and Visual Studio Code accept it in settings files. */

/**
 * Replaces comments and trailing commas by blanks, so that positions in an error of `JSON.parse` stay the same.
 * Text inside strings is left as it is: `https://…` is no comment.
 */
export function toStrictJson(text: string): string {
  const withoutComments = text.replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n\r]*|\/\*[^]*?\*\//g, (found) =>
    found.startsWith('"') ? found : blanks(found),
  )
  return withoutComments.replace(
    /("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])/g,
    (found, string: string | undefined) => string ?? blanks(found),
  )
}

function blanks(text: string): string {
  return text.replace(/[^\n\r]/g, ' ')
}
