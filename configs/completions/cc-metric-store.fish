# Completion of fish for cc-metric-store; /usr/share/fish/vendor_completions.d/cc-metric-store.fish
complete -c cc-metric-store -f
complete -c cc-metric-store -o check-config -d 'Check the configuration, print what it comes to, and exit'
complete -c cc-metric-store -o cleanup-checkpoints -d 'Clean up old checkpoints once and exit'
complete -c cc-metric-store -o config -r -F -d 'Configuration file'
complete -c cc-metric-store -o dev -d 'Serve the Swagger UI'
complete -c cc-metric-store -o gops -d 'Accepted for compatibility, without effect'
complete -c cc-metric-store -o h -d 'Show the options and exit'
complete -c cc-metric-store -o help -d 'Show the options and exit'
complete -c cc-metric-store -o logdate -d 'Begin log lines with date and time'
complete -c cc-metric-store -o loglevel -x -a 'debug info warn err crit' -d 'How much is logged'
complete -c cc-metric-store -o size -x -d 'Print the memory and disk that a site needs (hosts=200,threads=72), and exit'
complete -c cc-metric-store -o version -d 'Show the version and exit'
