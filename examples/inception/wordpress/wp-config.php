<?php
// WordPress's settings: the database from the environment, its password from a file.

define('DB_HOST', getenv('WORDPRESS_DB_HOST'));
define('DB_NAME', getenv('WORDPRESS_DB_NAME'));
define('DB_USER', getenv('WORDPRESS_DB_USER'));
define('DB_PASSWORD', rtrim(file_get_contents(getenv('WORDPRESS_DB_PASSWORD_FILE')), "\n"));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = 'wp_';

// Where visitors find the site. What a request says about it is not trusted, and has no port besides.
define('WP_HOME', getenv('WORDPRESS_URL'));
define('WP_SITEURL', WP_HOME);
$_SERVER['HTTP_HOST'] = preg_replace('#^https?://#', '', WP_HOME);

// Made at the first start by entrypoint.sh; it defines the eight keys that sign cookies.
require __DIR__ . '/wp-keys.php';

// New versions come with the image, not over the network.
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISALLOW_FILE_MODS', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
