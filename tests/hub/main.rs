mod driver_host;
