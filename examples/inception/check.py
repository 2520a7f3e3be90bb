"""The installation page over TLS, an installed site, an update under load, and data that is kept over down and up."""

import ssl
import time
import urllib.parse

from checking import Load, ask, eventually, example, require

URL = "https://localhost:8443"
TITLE = "A harbour in the evening"


def trust(this):
    """TLS that takes the site's own certificate for the name in the URL, and no other."""
    certificate = this.gantry("exec", "-T", "nginx", "cat", "/etc/nginx/tls/certificate.pem")
    return ssl.create_default_context(cadata=certificate)


def page(path, context, status=200, **options):
    answer = ask(URL + path, context=context, **options)
    require(answer.status == status, f"{path} answered with {answer.status} instead of {status}: {answer.text[:500]}")
    return answer


def install(context):
    form = {"weblog_title": TITLE, "user_name": "harbour", "admin_password": "only-for-the-example", "pw_weak": "1",
            "admin_password2": "only-for-the-example", "admin_email": "harbour@example.org", "blog_public": "0"}
    answer = page("/wp-admin/install.php?step=2", context, body=urllib.parse.urlencode(form).encode(), seconds=60)
    require("Success!" in answer.text, f"the installation failed: {answer.text[:1000]}")


with example("inception") as this:
    this.step("gantry up")
    this.up("--build")
    context = trust(this)
    this.step("the installation page over TLS")
    require(page("/", context, 302).headers["Location"] == f"{URL}/wp-admin/install.php", "not led to the installation")
    text = page("/wp-admin/install.php", context).text
    require("WordPress" in text and 'name="weblog_title"' in text, f"no installation page: {text[:500]}")
    this.step("the site is installed")
    install(context)
    require(TITLE in page("/", context).text, "the site has not its title")
    styles = page("/wp-includes/css/dashicons.min.css", context)
    require(styles.headers["Content-Type"] == "text/css", "styles are not served as such")
    page("/.version", context, 403)
    require("only-for" not in this.gantry("exec", "-T", "wordpress", "env"), "the password is in the environment")
    this.step("nginx is changed, under load")
    this.edit("nginx/nginx.conf", "X-Site-Version 1", "X-Site-Version 2")

    def load_page():
        answer = page("/", context)
        require(TITLE in answer.text, "a page without the title")
        return answer.headers["X-Site-Version"]

    with Load(load_page) as load:
        time.sleep(0.5)
        this.up("--build", "nginx")
        time.sleep(0.5)
    this.step(f"{load.requests} requests, {len(load.failures)} failed; {load.counts}")
    require(not load.failures, f"requests failed: {load.failures[:5]}")
    require(set(load.counts) == {"1", "2"}, f"not both versions were seen: {load.counts}")
    this.step("the database is killed")
    this.gantry("kill", "mariadb")
    eventually(60, "the site after its database was killed",
               lambda: ask(URL, context=context).status == 200 and TITLE in ask(URL, context=context).text)
    this.step("down and up: database, site and certificate are kept")
    this.gantry("down")
    this.up()
    require(TITLE in page("/", context).text, "the site is not the one it was")
    page("/wp-admin/install.php", context)
    require("already installed" in page("/wp-admin/install.php", context).text, "the site would be installed again")
