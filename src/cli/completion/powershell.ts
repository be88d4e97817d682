// PowerShell asks with its words, each behind a `=`: Windows PowerShell drops arguments
// that are empty, and PowerShell's own parser has a meaning for `--`.

import { type Complete, fitting, type Shell } from './shell.ts';

const SCRIPT = `# Completion of queuectl for PowerShell 5.1 or later.
# Now:     queuectl completion powershell | Out-String | Invoke-Expression
# Always:  that line in the file that $PROFILE names

Register-ArgumentCompleter -Native -CommandName 'queuectl', 'queuectl.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # What was typed, as text: nothing of it is evaluated.
    $texts = @()
    $current = ''
    foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
        $extent = $element.Extent
        if ($extent.StartOffset -ge $cursorPosition) { break }
        if ($extent.EndOffset -ge $cursorPosition) {
            $current = $extent.Text.Substring(0, $cursorPosition - $extent.StartOffset).Trim('"', "'")
            break
        }
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $texts += $element.Value
        } else {
            $texts += $extent.Text
        }
    }
    $words = @(($texts + $current) | ForEach-Object { '=' + $_ })

    # The executable that the line names; for an alias the one in PATH.
    $name = $commandAst.GetCommandName()
    $program = Get-Command -Name $name -CommandType Application -ErrorAction SilentlyContinue |
        Select-Object -First 1
    if (-not $program) {
        $program = Get-Command -Name 'queuectl' -CommandType Application -ErrorAction SilentlyContinue |
            Select-Object -First 1
    }
    if (-not $program) { return '' }
    $lines = @(& $program.Source __complete powershell $words 2>$null)
    if ($lines.Count -lt 3) { return '' }
    $kind, $prefix, $value = $lines[0..2]

    $results = @(switch ($kind) {
        'words' {
            $lines | Select-Object -Skip 3 | ForEach-Object {
                $word, $description = $_ -split "\`t", 2
                if (-not $description) { $description = $word }
                $text = if ($word -match '^[A-Za-z0-9._:=/-]+$') { $word } else { "'" + $word + "'" }
                [System.Management.Automation.CompletionResult]::new($text, $word, 'ParameterValue', $description)
            }
        }
        'commands' { [System.Management.Automation.CompletionCompleters]::CompleteCommand($value) }
        default {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($value) |
                Where-Object { $kind -ne 'directories' -or $_.ResultType -eq 'ProviderContainer' } |
                ForEach-Object {
                    [System.Management.Automation.CompletionResult]::new(
                        $prefix + $_.CompletionText, $_.ListItemText, $_.ResultType, $_.ToolTip)
                }
        }
    })
    # Without any result PowerShell would offer files.
    if ($results.Count -eq 0) { return '' }
    $results
}
`;

async function answer(args: readonly string[], complete: Complete): Promise<string> {
  const words = args.map((arg) => arg.slice(1));
  const current = words.at(-1) ?? '';
  const found = await complete(words.slice(0, -1), current);
  const lines = fitting(found, current).map(({ value, description }) =>
    description === '' ? value : `${value}\t${description}`,
  );
  return [found.kind, found.prefix, found.value, ...lines, ''].join('\n');
}

export const shell: Shell = { script: SCRIPT, answer };
