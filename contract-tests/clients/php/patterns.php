<?php
// Compiles every pattern that the given files pass to preg_match, as PHP reads it from its literal.

set_error_handler(function ($level, $text) {
    throw new ErrorException($text);
});
$found = 0;
foreach (array_slice($argv, 1) as $file) {
    preg_match_all('/preg_match\(("(?:[^"\\\\]|\\\\.)*")/', file_get_contents($file), $literals);
    foreach ($literals[1] as $literal) {
        $pattern = eval("return $literal;");
        if (preg_match($pattern, '') === false) {
            fwrite(STDERR, "$file: $literal: " . preg_last_error_msg() . "\n");
            exit(1);
        }
        $found++;
    }
}
if ($found === 0) {
    fwrite(STDERR, "no pattern was found\n");
    exit(1);
}
echo "$found patterns\n";
