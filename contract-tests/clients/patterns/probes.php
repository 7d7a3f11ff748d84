<?php
// Prints which probes match which patterns, as PCRE says: as generated clients call it, without knowledge of Unicode.
foreach (json_decode(file_get_contents($argv[1])) as [$pattern, $probes]) {
    $delimited = '/' . str_replace('/', '\/', $pattern) . '/';
    foreach ($probes as $probe) {
        $verdict = preg_match($delimited, $probe);
        if ($verdict === false || $verdict !== preg_match($delimited . 'u', $probe)) {
            fwrite(STDERR, "$pattern: " . json_encode($probe) . ": " . preg_last_error_msg() . "\n");
            exit(1);
        }
        echo $verdict;
    }
    echo "\n";
}
