// Unpacks the Chromium that the npm package @sparticuz/chromium carries, so that it runs on a machine without its
// libraries and fonts: node unpack_chromium.js PACKAGE TARGET makes TARGET/chrome, which takes Chromium's arguments.
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const zlib = require('node:zlib')

const [source, target] = process.argv.slice(2).map((name) => path.resolve(name))
const unpacked = (name) => zlib.brotliDecompressSync(fs.readFileSync(path.join(source, 'bin', name)))

fs.writeFileSync(path.join(target, 'chromium'), unpacked('chromium.br'), { mode: 0o755 })
for (const name of ['al2023.tar.br', 'fonts.tar.br', 'swiftshader.tar.br']) {
  execFileSync('tar', ['-x', '-f', '-', '-C', target, '--no-same-owner'], { input: unpacked(name) })
}
fs.writeFileSync(
  path.join(target, 'fonts.conf'),
  `<?xml version="1.0"?>
<fontconfig>
  <dir>${target}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${target}/fonts-cache</cachedir>
</fontconfig>
`
)
fs.writeFileSync(
  path.join(target, 'chrome'),
  `#!/bin/sh
LD_LIBRARY_PATH='${target}/lib' FONTCONFIG_FILE='${target}/fonts.conf' exec '${target}/chromium' "$@"
`,
  { mode: 0o755 }
)
